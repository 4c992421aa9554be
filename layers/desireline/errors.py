"""The exceptions of this package.

DesirelineError
├── WithheldError          the event's person is suppressed or has refused consent: store nothing
├── TerminalError          a retry cannot help: quarantine the record
│   ├── InvalidEventError      the event breaks the tracking plan or the canonical schema
│   │   └── IgnoredEventError      the plan ignores the message: count it, do not quarantine it
│   ├── UnknownSchemaError     a version wrote the data that this code cannot read
│   ├── InvalidPlaybookError   the playbook is invalid
│   └── InvalidModelError      the packaged model is damaged or differs from its manifest
├── RetryableError         a retry may help: raise, so that the event source retries
│   ├── ConflictError          a row changed since it was read
│   ├── ThrottledError         a service limits the rate of calls
│   ├── DeniedError            a service denies every call of the deployment
│   └── UnavailableError       a service did not answer in time
└── RefusedError           the answer to the webhook is a 4xx with a reason
"""

from __future__ import annotations


class DesirelineError(Exception):
    """The base of all exceptions that this package defines."""


class WithheldError(DesirelineError):
    """The event's person is suppressed or has refused consent. reason: which of the two."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TerminalError(DesirelineError):
    """A retry cannot help. reason: the code in quarantine and metrics. detail: for readers."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class InvalidEventError(TerminalError):
    """The event breaks the tracking plan or the canonical schema."""


class IgnoredEventError(InvalidEventError):
    """The plan ignores the message. detail: the plan's reason."""


class UnknownSchemaError(TerminalError):
    """A version wrote the data that this code cannot read."""


class InvalidPlaybookError(TerminalError):
    """The playbook is invalid."""


class InvalidModelError(TerminalError):
    """The packaged model is damaged or differs from its manifest."""


class RetryableError(DesirelineError):
    """A retry may help."""


Failure = RetryableError | TerminalError
"""The error of one item of a batch, as a value, so that the other items continue."""


class ConflictError(RetryableError):
    """A row's version differs from the one that was read. The transaction wrote nothing."""


class ThrottledError(RetryableError):
    """The service limits the rate of calls. Nothing was written."""


class DeniedError(RetryableError):
    """A service denies the call, and would deny it for any record. Nothing was written.

    The cause is the deployment: its rights, keys or credentials, or a missing resource. So the
    records are not quarantined. They wait until an operator has corrected it."""


class UnavailableError(RetryableError):
    """The service did not answer in time. It is unknown whether it acted."""


class RefusedError(DesirelineError):
    """A webhook must be refused. status, reason, detail: of the answer. Refusals count by reason.

    retry_after: seconds until the sender may retry (429)."""

    def __init__(
        self, status: int, reason: str, detail: str = "", *, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {detail}" if detail else f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
