"""The clients of boto3 with limited waits, and the translation of their errors to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from desireline.errors import DeniedError, TerminalError, ThrottledError, UnavailableError

THROTTLES = frozenset(
    {
        "ExecutionLimitExceeded",
        "KMSThrottling",
        "KMSThrottlingException",
        "KmsThrottled",
        "KmsThrottlingException",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

DENIALS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes of denied calls. Codes of a KMS key, which begin with KMS, count too."""


QUICK_SECONDS = 0.7


def config(*, attempts: int = 4, read_timeout: float = 5.0, connect_timeout: float = 2.0) -> Config:
    """Return a configuration whose waits end before a function does. Timeouts are in seconds.

    attempts: the most calls, with the first one."""
    return Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
        max_pool_connections=16,
    )


@cache
def _session() -> Any:
    """Return the session of all clients. Another one would read botocore's data again: 50 ms."""
    return Session()


def client(service: str, **waits: Any) -> Any:
    """Return a boto3 client of a service. waits: arguments of `config`."""
    return _session().client(service, config=config(**waits))


def credentials() -> Any:
    """Return the session's credentials, which refresh themselves; None without any."""
    return _session().get_credentials()


def quick_client(service: str) -> Any:
    """Make a client that fails before a sender's deadline.

    It tries once, because a request may need several clients in turn, and the sender retries."""
    return client(service, attempts=1, read_timeout=QUICK_SECONDS, connect_timeout=QUICK_SECONDS)


def error_of(error: ClientError | BotoCoreError) -> Exception:
    """Translate an error of AWS.

    ThrottledError and DeniedError: AWS has not acted. TerminalError: it refused this request.
    UnavailableError: it is unknown whether it acted."""
    if isinstance(error, ParamValidationError):
        return TerminalError("invalid_request", str(error))
    if isinstance(error, BotoCoreError):
        return UnavailableError(type(error).__name__)
    code = error.response["Error"].get("Code", "")
    if code in THROTTLES:
        return ThrottledError(code)
    if code in DENIALS or code.upper().startswith("KMS"):
        return DeniedError(code)
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) >= 500:
        return UnavailableError(code)
    return TerminalError(code or "refused", error.response["Error"].get("Message", ""))


@contextmanager
def translated() -> Iterator[None]:
    """Translate errors of AWS that the block raises."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise error_of(error) from error
