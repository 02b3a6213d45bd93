"""An image is copied whole from Region to Region, through ECR's own API."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from dask_regions.aws.deployment import images
from dask_regions.errors import NotFoundError, UnavailableError

LAYER, CONFIGURATION = b"layer " * 100, b"{}"
INDEX = "application/vnd.oci.image.index.v1+json"


class Exists(Exception):  # noqa: N818
    """What ECR raises where something is there already."""


def digest_of(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


class Registry:
    """A Region's registry with one repository, as ECR's API shows it."""

    exceptions = SimpleNamespace(ImageAlreadyExistsException=Exists, LayerAlreadyExistsException=Exists)

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.images: dict[str, tuple[str, str]] = {}
        self.tags: dict[str, str] = {}
        self.parts: dict[str, bytes] = {}

    def push(self, manifest: dict[str, Any], tag: str | None = None, *blobs: bytes) -> str:
        text = json.dumps(manifest)
        digest = digest_of(text.encode())
        self.blobs |= {digest_of(blob): blob for blob in blobs}
        self.put_image("r", text, digest, manifest["mediaType"], tag)
        return digest

    def put_image(
        self,
        repositoryName: str,  # noqa: N803
        imageManifest: str,  # noqa: N803
        imageDigest: str,  # noqa: N803
        imageManifestMediaType: str,  # noqa: N803
        imageTag: str | None = None,  # noqa: N803
    ) -> None:
        manifest = json.loads(imageManifest)
        for part in manifest.get("manifests", ()):
            assert part["digest"] in self.images
        for layer in manifest.get("layers", ()):
            assert layer["digest"] in self.blobs
        if imageTag and self.tags.get(imageTag) == imageDigest:
            raise Exists
        self.images[imageDigest] = (imageManifest, imageManifestMediaType)
        if imageTag:
            self.tags[imageTag] = imageDigest

    def batch_get_image(self, imageIds: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        (wanted,) = imageIds
        digest = wanted.get("imageDigest") or self.tags.get(wanted["imageTag"], "")
        if digest not in self.images:
            return {"images": []}
        manifest, kind = self.images[digest]
        image = {
            "imageManifest": manifest,
            "imageManifestMediaType": kind,
            "imageId": {"imageDigest": digest},
        }
        return {"images": [image]}

    def batch_check_layer_availability(self, layerDigests: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        states = {True: "AVAILABLE", False: "UNAVAILABLE"}
        return {
            "layers": [
                {"layerDigest": each, "layerAvailability": states[each in self.blobs]}
                for each in layerDigests
            ]
        }

    def get_download_url_for_layer(self, layerDigest: str, **_: Any) -> dict[str, str]:  # noqa: N803
        return {"downloadUrl": layerDigest}

    def initiate_layer_upload(self, **_: Any) -> dict[str, Any]:
        upload = str(len(self.parts))
        self.parts[upload] = b""
        return {"uploadId": upload, "partSize": 64}

    def upload_layer_part(
        self,
        uploadId: str,  # noqa: N803
        partFirstByte: int,  # noqa: N803
        partLastByte: int,  # noqa: N803
        layerPartBlob: bytes,  # noqa: N803
        **_: Any,
    ) -> None:
        assert partFirstByte == len(self.parts[uploadId])
        assert partLastByte == partFirstByte + len(layerPartBlob) - 1
        self.parts[uploadId] += layerPartBlob

    def complete_layer_upload(self, uploadId: str, layerDigests: list[str], **_: Any) -> None:  # noqa: N803
        (digest,) = layerDigests
        assert digest_of(self.parts[uploadId]) == digest
        self.blobs[digest] = self.parts[uploadId]


class Response:
    def __init__(self, blob: bytes | None) -> None:
        self.status, self.rest = (200, blob) if blob is not None else (403, b"")

    def read(self, amount: int) -> bytes:
        part, self.rest = (self.rest or b"")[:amount], (self.rest or b"")[amount:]
        return part

    def release_conn(self) -> None:
        return


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> dict[str, Registry]:
    made = {"eu-west-2": Registry(), "us-west-2": Registry()}

    def client(_: str, region_name: str) -> Registry:
        return made[region_name]

    def request(_pool: Any, _method: str, url: str, **_: Any) -> Response:
        return Response(made["eu-west-2"].blobs.get(url))

    monkeypatch.setattr("boto3.client", client)
    monkeypatch.setattr("urllib3.PoolManager.request", request)
    return made


def push(registry: Registry) -> str:
    """Push a list of one platform's image, as Docker does."""
    image = registry.push(
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": digest_of(CONFIGURATION)},
            "layers": [{"digest": digest_of(LAYER)}],
        },
        None,
        LAYER,
        CONFIGURATION,
    )
    return registry.push({"mediaType": INDEX, "manifests": [{"digest": image}]}, "0.1.0")


def copy() -> list[str]:
    lines: list[str] = []
    images.copy("r", "0.1.0", "eu-west-2", "us-west-2", lines.append)
    return lines


def test_a_list_its_images_and_their_layers_arrive_whole(registries: dict[str, Registry]) -> None:
    digest = push(registries["eu-west-2"])
    assert copy() == ["us-west-2: copying the image r:0.1.0 from eu-west-2"]
    target = registries["us-west-2"]
    assert target.tags == {"0.1.0": digest}
    assert target.images == registries["eu-west-2"].images
    assert target.blobs == registries["eu-west-2"].blobs


def test_what_is_there_is_not_copied_again(registries: dict[str, Registry]) -> None:
    push(registries["eu-west-2"])
    copy()
    uploads = len(registries["us-west-2"].parts)
    copy()
    assert len(registries["us-west-2"].parts) == uploads == 2


def test_an_image_that_the_source_lacks_is_told(registries: dict[str, Registry]) -> None:
    with pytest.raises(NotFoundError, match="eu-west-2 has no image r:"):
        copy()


def test_a_layer_that_cannot_be_read_is_told(registries: dict[str, Registry]) -> None:
    push(registries["eu-west-2"])
    registries["eu-west-2"].blobs.clear()
    with pytest.raises(UnavailableError, match="HTTP 403"):
        copy()


def test_a_registry_that_does_not_answer_is_told(
    registries: dict[str, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    push(registries["eu-west-2"])

    def refuse(*_: object, **__: object) -> None:
        raise urllib3.exceptions.MaxRetryError(None, "https://registry")  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.PoolManager, "request", refuse)
    with pytest.raises(UnavailableError, match=r"could not be read in eu-west-2 .* run this again"):
        copy()
