"""Images in ECR: which tags a Region has, copies from Region to Region, and the registry's replication.

An image is copied through ECR's own API, which needs no container engine: the manifest names configuration
and layers by digest, and each is downloaded from one Region and uploaded to the other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import urllib3

from dask_regions.aws.deployment.account import readable_errors
from dask_regions.errors import NotFoundError, UnavailableError

__all__ = ["copy", "destinations", "digest", "login", "registry", "set_destinations", "tags"]

_Say = Callable[[str], None]

#: Media types that a manifest is asked for in; the first two list one image for each platform.
_LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def registry(region: str) -> str:
    """Return the host name of the account's registry in a Region."""
    with readable_errors(f"look at the registry in {region}"):
        account = boto3.client("ecr", region_name=region).describe_registry()["registryId"]
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{suffix}"


def login(region: str) -> tuple[str, str]:
    """Return user and password of the account's registry in a Region, good for twelve hours."""
    with readable_errors(f"open the registry in {region}"):
        answer = boto3.client("ecr", region_name=region).get_authorization_token()
    token = answer["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return user, password


def tags(region: str, repository: str) -> dict[str, str] | None:
    """Return each tag of a repository with its image's digest; None where there is no repository."""
    client = boto3.client("ecr", region_name=region)
    with readable_errors(f"list the images of {repository} in {region}"):
        try:
            pages = list(client.get_paginator("list_images").paginate(repositoryName=repository))
        except client.exceptions.RepositoryNotFoundException:
            return None
    return {
        image["imageTag"]: image["imageDigest"]
        for page in pages
        for image in page["imageIds"]
        if image.get("imageTag")
    }


def digest(region: str, repository: str, tag: str) -> str | None:
    """Return the digest of the image of a tag, None where there is none."""
    return (tags(region, repository) or {}).get(tag)


def copy(repository: str, tag: str, source: str, target: str, say: _Say) -> None:
    """Copy an image with all that it consists of from one Region's repository to another's.

    Raises
    ------
    NotFoundError
        Where the source has no such tag.
    UnavailableError
        Where AWS refuses, or a layer does not arrive whole.
    """
    say(f"{target}: copying the image {repository}:{tag} from {source}")
    with readable_errors(f"copy the image {repository}:{tag} from {source} to {target}"):
        _Copy(repository, source, target).image({"imageTag": tag}, tag)


class _Copy:
    """Copies images of one repository between two Regions."""

    def __init__(self, repository: str, source: str, target: str) -> None:
        self.repository, self.source_region = repository, source
        self.source: Any = boto3.client("ecr", region_name=source)
        self.target: Any = boto3.client("ecr", region_name=target)
        self.http = urllib3.PoolManager(retries=urllib3.Retry(3, backoff_factor=0.5))

    def image(self, identifier: Mapping[str, str], tag: str | None) -> None:
        """Copy one image, after those that a list of platforms names and the layers that it names."""
        answer = self.source.batch_get_image(
            repositoryName=self.repository,
            imageIds=[dict(identifier)],
            acceptedMediaTypes=[*_LISTS, *_MANIFESTS],
        )
        if not answer["images"]:
            raise NotFoundError(
                f"{self.source_region} has no image {self.repository}:{tag}; build it there: "
                "`dask-regions deploy`"
            )
        image = answer["images"][0]
        manifest = json.loads(image["imageManifest"])
        for part in manifest.get("manifests", ()):
            self.image({"imageDigest": part["digest"]}, None)
        blobs = [manifest["config"]] if manifest.get("config") else []
        self.layers([blob["digest"] for blob in [*blobs, *manifest.get("layers", ())]])
        request: dict[str, Any] = {
            "repositoryName": self.repository,
            "imageManifest": image["imageManifest"],
            "imageDigest": image["imageId"]["imageDigest"],
        }
        if media_type := image.get("imageManifestMediaType") or manifest.get("mediaType"):
            request["imageManifestMediaType"] = media_type
        if tag:
            request["imageTag"] = tag
        try:
            self.target.put_image(**request)
        except self.target.exceptions.ImageAlreadyExistsException:
            return

    def layers(self, digests: list[str]) -> None:
        """Copy the layers that the target lacks."""
        if not digests:
            return
        answer = self.target.batch_check_layer_availability(
            repositoryName=self.repository, layerDigests=list(dict.fromkeys(digests))
        )
        present = {
            layer["layerDigest"] for layer in answer["layers"] if layer["layerAvailability"] == "AVAILABLE"
        }
        for layer in dict.fromkeys(digests):
            if layer not in present:
                self.layer(layer)

    def layer(self, layer: str) -> None:
        """Copy one layer in parts of the size that ECR asks for."""
        url = self.source.get_download_url_for_layer(repositoryName=self.repository, layerDigest=layer)
        upload = self.target.initiate_layer_upload(repositoryName=self.repository)
        unread = f"layer {layer} of {self.repository} could not be read in {self.source_region}"
        try:
            response = self.http.request("GET", url["downloadUrl"], preload_content=False, timeout=60)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"{unread} ({error}); run this again") from error
        if response.status != 200:
            raise UnavailableError(f"{unread} (HTTP {response.status}); run this again")
        first = 0
        while part := response.read(upload["partSize"]):
            self.target.upload_layer_part(
                repositoryName=self.repository,
                uploadId=upload["uploadId"],
                partFirstByte=first,
                partLastByte=first + len(part) - 1,
                layerPartBlob=part,
            )
            first += len(part)
        response.release_conn()
        try:
            self.target.complete_layer_upload(
                repositoryName=self.repository, uploadId=upload["uploadId"], layerDigests=[layer]
            )
        except self.target.exceptions.LayerAlreadyExistsException:
            return


def destinations(region: str) -> list[dict[str, Any]]:
    """Return the rules of a Region's registry for replication, in ECR's form."""
    with readable_errors(f"look at the replication of images from {region}"):
        answer: Any = boto3.client("ecr", region_name=region).describe_registry()
    rules: list[dict[str, Any]] = answer["replicationConfiguration"]["rules"]
    return rules


def set_destinations(region: str, rules: list[dict[str, Any]]) -> None:
    """Replace the rules of a Region's registry for replication."""
    client: Any = boto3.client("ecr", region_name=region)
    with readable_errors(f"replicate images from {region}"):
        client.put_replication_configuration(replicationConfiguration={"rules": rules})
