"""The console and the exit codes that all commands share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import httpx
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typer.core import TyperGroup

from desireline.errors import DesirelineError
from desireline_operate import deployment
from desireline_operate.deployment import Deployment, NotRunningError

DeploymentName = Annotated[
    str | None,
    typer.Option("--deployment", help="name of a deployment on AWS; default: the local cloud"),
]

NOT_RUNNING = 3
"""Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no running cloud, 130 interrupted."""
INTERRUPTED = 130

_CONTROLS = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class _LiteralConsole(Console):
    """A console that prints text literally, because senders choose names and values.

    It interprets no markup and no emoji, and replaces control characters."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(text.translate(_CONTROLS), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(segment.text.translate(_CONTROLS), segment.style)


console = _LiteralConsole()
errors = _LiteralConsole(stderr=True)

EXPECTED_ERRORS = (
    *(httpx.HTTPError, BotoCoreError, ClientError, DesirelineError),
    *(ConnectionError, TimeoutError),
)


class Commands(TyperGroup):
    """A group whose commands end without a traceback.

    It turns Ctrl-C, expected errors and missing files into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            errors.print("interrupted")
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError:
            raise
        except EXPECTED_ERRORS as error:
            raise fail(f"a service did not answer or refused the request: {error}") from error
        except OSError as error:
            raise fail(reason(error), 2) from error


def fail(message: str, code: int = 1) -> typer.Exit:
    """Print an error and return the exception that ends the command; the caller raises it."""
    errors.print(Text.assemble(("desireline:", "red"), f" {message}"), soft_wrap=True)
    return typer.Exit(code)


def the_deployment(name: str | None) -> Deployment:
    """Return the named deployment on AWS, or without a name the running local cloud.

    Ends the command with exit code 2 if it is not available."""
    try:
        return deployment.running() if name is None else deployment.on_aws(name)
    except NotRunningError as error:
        raise fail(f"{error}, or name a deployment on AWS with --deployment", 2) from error
    except (DesirelineError, BotoCoreError) as error:
        raise fail(
            f"deployment '{name}' was not found: {error}. Check its name and your AWS credentials",
            2,
        ) from error


def reason(error: OSError) -> str:
    """Describe a file's error without the error number."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
