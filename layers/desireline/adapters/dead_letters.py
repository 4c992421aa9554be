"""The DeadLetterBucket port on S3: the objects of event source mappings, and notes of redrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from desireline.adapters.aws import translated

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

WRITTEN_BY_LAMBDA = "aws/lambda/"
READERS = 8
"""The objects to read at a time, because each read takes a round trip."""


class S3DeadLetters:
    """One bucket. Event source mappings write below `aws/lambda/`, and may write nowhere else."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def objects(self, *, since: int | None = None) -> Iterator[tuple[str, bytes]]:
        return self._all(WRITTEN_BY_LAMBDA, since)

    def notes(self, prefix: str) -> Iterator[bytes]:
        return (body for _, body in self._all(prefix, None))

    def note(self, name: str, body: bytes) -> None:
        with translated():
            self._client.put_object(
                Bucket=self._bucket, Key=name, Body=body, ContentType="application/json"
            )

    def _all(self, prefix: str, since: int | None) -> Iterator[tuple[str, bytes]]:
        """Yield key and body of each object, in the order of the keys. Reads run in parallel."""
        reading: deque[tuple[str, Future[bytes]]] = deque()
        with translated(), ThreadPoolExecutor(READERS) as pool:
            for name in self._names(prefix, since):
                reading.append((name, pool.submit(self._read, name)))
                if len(reading) >= 2 * READERS:
                    done, body = reading.popleft()
                    yield done, body.result()
            while reading:
                done, body = reading.popleft()
                yield done, body.result()

    def _names(self, prefix: str, since: int | None) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                # S3 returns whole seconds.
                written = item["LastModified"].timestamp() * 1000 + 999
                if since is None or written >= since:
                    yield item["Key"]

    def _read(self, name: str) -> bytes:
        return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
