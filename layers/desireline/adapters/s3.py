"""The Blobs port on S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from desireline.adapters.aws import translated

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_EXISTS = frozenset({"PreconditionFailed", "412"})


class S3Blobs:
    """One bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_if_absent(self, key: str, body: bytes) -> bool:
        with translated():
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                if error.response["Error"].get("Code") in _EXISTS:
                    return False
                raise
        return True
