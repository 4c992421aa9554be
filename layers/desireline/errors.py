"""The exception tree.

DesirelineError
├── WithheldError          an event that its person does not want taken: not kept either
├── TerminalError          trying again cannot help: quarantine, count as handled
│   ├── InvalidEventError      breaks the tracking plan or the canonical schema
│   │   └── IgnoredEventError      no event, as the plan says: counted, not set aside
│   ├── UnknownSchemaError     written by a version that this code cannot read
│   ├── InvalidPlaybookError   a playbook that does not validate
│   └── InvalidModelError      a packaged model that is damaged or not what it says
├── RetryableError         trying again may help: raise, and the event source waits
│   ├── ConflictError          a row changed since it was read
│   ├── ThrottledError         a service asks to slow down
│   ├── DeniedError            a service does not let us in, whatever it is about
│   └── UnavailableError       a service did not answer, or not in time
└── RefusedError           a webhook that is answered with a 4xx and a reason
"""

from __future__ import annotations


class DesirelineError(Exception):
    """Root of everything that this package raises on purpose."""


class WithheldError(DesirelineError):
    """The event's person is suppressed, or has refused consent; `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TerminalError(DesirelineError):
    """Trying again cannot help; `reason` is the code that quarantine and metrics use."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class InvalidEventError(TerminalError):
    """The event breaks the tracking plan or the canonical schema."""


class IgnoredEventError(InvalidEventError):
    """The plan says of it that it is no event, and why."""


class UnknownSchemaError(TerminalError):
    """The payload was written by a version that this code cannot read."""


class InvalidPlaybookError(TerminalError):
    """The playbook does not validate."""


class InvalidModelError(TerminalError):
    """The packaged model is damaged, or is not what its manifest says."""


class RetryableError(DesirelineError):
    """Trying again may help."""


Failure = RetryableError | TerminalError
"""What may come of one item of a batch, as a value: the others go on."""


class ConflictError(RetryableError):
    """A row's version is not the one that was read; nothing of the transaction was written."""


class ThrottledError(RetryableError):
    """The service asks to slow down; nothing was written."""


class DeniedError(RetryableError):
    """A service does not let us in, whatever it is about: rights, keys, credentials, or what we ask
    is not there. Nothing was written. It is the deployment's fault and no record's, so that nothing
    is set aside for it: the records wait until somebody has put it right."""


class UnavailableError(RetryableError):
    """The service did not answer, or not in time; whether it acted is unknown."""


class RefusedError(DesirelineError):
    """A webhook that must not be taken: answered with `status` and `reason`, counted by reason.

    retry_after: seconds after which it may come again (429)."""

    def __init__(
        self, status: int, reason: str, detail: str = "", *, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {detail}" if detail else f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
