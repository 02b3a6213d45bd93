"""Objects of one S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import IO, TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.harvest.base import StoredObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Bucket"]

# S3 answers 403 for a key that is missing where the caller may not list the bucket.
_UNREADABLE = {"NoSuchKey", "404", "AccessDenied", "403", "InvalidObjectState", "InvalidRange"}


class S3Bucket:
    """A bucket as a :class:`dask_regions.harvest.base.ObjectStore`; used from several threads at once.

    Parameters
    ----------
    bucket
        Name of the bucket.
    region
        Its Region; that of the process by default.

    Attributes
    ----------
    requests, listed
        Requests made, and objects listed, so far.
    """

    def __init__(self, bucket: str, region: str | None = None) -> None:
        self.bucket = bucket
        self.requests = 0
        self.listed = 0
        self._lock = Lock()
        config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=16)
        self._client: S3Client = boto3.client("s3", region_name=region, config=config)

    def prefixes(self, prefix: str) -> list[str]:
        """Return the prefixes one ``/`` below a prefix."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/"
        )
        found: list[str] = []
        for page in pages:
            self._note(listed=len(page.get("Contents", ())))
            found.extend(entry["Prefix"] for entry in page.get("CommonPrefixes", ()))
        return found

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects, up to 1000, whose key is beyond ``after``, and whether there are more."""
        with self._answering(prefix):
            answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, StartAfter=after)
        found = [StoredObject(entry["Key"], entry["Size"]) for entry in answer.get("Contents", ())]
        self._note(listed=len(found))
        return found, answer["IsTruncated"]

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them.

        Raises
        ------
        NotFoundError
            Where the key does not exist or may not be read.
        UnavailableError
            Where S3 does not answer.
        """
        end = "" if length is None else start + length - 1
        self._note()
        with self._answering(key):
            if start == 0 and length is None:
                return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            answer = self._client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes={start}-{end}")
            return answer["Body"].read()

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object without holding all of it.

        Raises
        ------
        NotFoundError
            Where the key does not exist or may not be read.
        UnavailableError
            Where S3 does not answer.
        """
        self._note()
        with self._answering(key):
            body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
        with body:
            lines = body.iter_lines(chunk_size=1 << 16)
            while True:
                with self._answering(key):
                    line = next(lines, None)
                if line is None:
                    return
                yield line

    def upload(self, key: str, file: IO[bytes]) -> None:
        """Store a file, in parts where it is large."""
        self._note()
        self._client.upload_fileobj(file, self.bucket, key)

    @contextmanager
    def _answering(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._explained(error, key) from error
        except BotoCoreError as error:
            # Some, such as a timeout, are OSErrors too, and would pass for a damaged file.
            raise UnavailableError(f"s3://{self.bucket}/{key}: {error} Sync again") from error

    def _explained(self, error: ClientError, key: str) -> Exception:
        code = error.response.get("Error", {}).get("Code", "")
        if code not in _UNREADABLE:
            return error
        return NotFoundError(f"s3://{self.bucket}/{key} cannot be read ({code}); check that it exists")

    def _note(self, listed: int = 0) -> None:
        with self._lock:
            self.requests += 1
            self.listed += listed
