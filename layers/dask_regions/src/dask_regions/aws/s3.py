"""Objects of one S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dask_regions.errors import NotFoundError, UnavailableError
from dask_regions.harvest.base import StoredObject
from dask_regions.models import Dataset

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Bucket"]

# S3 answers 403 for a key that is missing where the caller may not list the bucket, InvalidObjectState for an
# archived object, and InvalidRequest for one whose encryption key only its owner has (SSE-C).
_UNREADABLE = {
    "NoSuchKey", "404", "AccessDenied", "403", "InvalidObjectState", "InvalidRange", "InvalidRequest",
    "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException",
}  # fmt: skip


class S3Bucket:
    """A bucket as a :class:`dask_regions.harvest.base.ObjectStore`; used from several threads at once.

    Parameters
    ----------
    bucket
        Name of the bucket.
    region
        Its Region; that of the process by default.
    requester_pays
        Whether to tell S3 that this account pays for requests and transfer.
    """

    def __init__(self, bucket: str, region: str | None = None, *, requester_pays: bool = False) -> None:
        self.bucket = bucket
        self._payer: dict[str, Any] = {"RequestPayer": "requester"} if requester_pays else {}
        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            max_pool_connections=32,
            connect_timeout=10,
            read_timeout=30,
        )
        self._client: S3Client = boto3.client("s3", region_name=region, config=config)

    @classmethod
    def of(cls, dataset: Dataset) -> S3Bucket:
        """Return the bucket of a dataset."""
        return cls(dataset.bucket, dataset.region, requester_pays=dataset.requester_pays)

    def page(self, prefix: str, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return the first objects, up to 1000, whose key is beyond ``after``, and whether there are more."""
        answer = self._list(prefix, StartAfter=after)
        # S3 may stop before it has found a key, e.g. among delete markers; there is no key to go on from.
        while answer["IsTruncated"] and not answer.get("Contents"):
            answer = self._list(prefix, ContinuationToken=answer["NextContinuationToken"])
        return _objects(answer), answer["IsTruncated"]

    def level(self, prefix: str) -> Iterator[tuple[list[str], list[StoredObject]]]:
        """Yield, by pages, the prefixes one ``/`` below a prefix and its objects."""
        following: dict[str, str] = {}
        while True:
            answer = self._list(prefix, Delimiter="/", **following)
            yield [entry["Prefix"] for entry in answer.get("CommonPrefixes", ())], _objects(answer)
            if not answer["IsTruncated"]:
                return
            following = {"ContinuationToken": answer["NextContinuationToken"]}

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or a range of them.

        Raises
        ------
        NotFoundError
            Where the key does not exist or may not be read.
        UnavailableError
            Where S3 does not answer.
        """
        with self._answering(key):
            if start == 0 and length is None:
                return self._client.get_object(Bucket=self.bucket, Key=key, **self._payer)["Body"].read()
            end = "" if length is None else start + length - 1
            bytes_ = f"bytes={start}-{end}"
            answer = self._client.get_object(Bucket=self.bucket, Key=key, Range=bytes_, **self._payer)
            return answer["Body"].read()

    def write(self, key: str, body: bytes) -> None:
        """Store an object.

        Raises
        ------
        UnavailableError
            Where S3 does not answer.
        """
        with self._answering(key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def _list(self, prefix: str, **more: Any) -> Any:
        with self._answering(prefix):
            return self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **self._payer, **more)

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


def _objects(answer: Any) -> list[StoredObject]:
    entries = answer.get("Contents", ())
    return [StoredObject(entry["Key"], entry["Size"], entry["ETag"].strip('"')) for entry in entries]
