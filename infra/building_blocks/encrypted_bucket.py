"""Private buckets that accept only TLS."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.deployment import DeploymentStack

ABANDONED_UPLOADS = cdk.Duration.days(2)


class EncryptedBucket(s3.Bucket):
    """A private bucket, encrypted with the stack's key, TLS only, with a lifecycle.

    CloudFormation does not empty it. So the deletion of a stack with a bucket that is not empty
    fails, and an operator has to decide.
    """

    def __init__(
        self,
        stack: DeploymentStack,
        purpose: str,
        *,
        key: kms.IKey,
        access_logs: s3.IBucket,
        lifecycle: Sequence[s3.LifecycleRule],
        versioned: bool = False,
    ) -> None:
        super().__init__(
            stack,
            "".join(part.title() for part in purpose.split("-")),
            bucket_name=stack.deployment.bucket_name(purpose),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=versioned,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=f"{purpose}/",
            lifecycle_rules=[_abandoned_uploads(), *lifecycle],
            removal_policy=stack.deployment.removal,
        )


class AccessLogBucket(s3.Bucket):
    """The bucket of the other buckets' access logs. S3 writes them only under its own key."""

    def __init__(self, scope: Construct, stack: DeploymentStack) -> None:
        super().__init__(
            scope,
            "AccessLogs",
            bucket_name=stack.deployment.bucket_name("access-logs"),
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[
                _abandoned_uploads(),
                s3.LifecycleRule(id="forget", expiration=cdk.Duration.days(90)),
            ],
            removal_policy=stack.deployment.removal,
        )


def _abandoned_uploads() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="abandoned-uploads", abort_incomplete_multipart_upload_after=ABANDONED_UPLOADS
    )
