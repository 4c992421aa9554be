"""What all commands share: the console, and how they end."""

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
    typer.Option("--deployment", help="a deployment on AWS by its name; the local cloud without"),
]

NOT_RUNNING = 3
"""Exit codes: 0 done, 1 tried and failed, 2 asked for what there is not, 3 no running cloud,
130 interrupted."""
INTERRUPTED = 130

_CONTROLS = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class _Letters(Console):
    """Prints every text letter by letter, for names and values are other people's words: no markup
    and no emoji are seen in them, and no control character of theirs reaches the terminal."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(text.translate(_CONTROLS), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(segment.text.translate(_CONTROLS), segment.style)


console = _Letters()
errors = _Letters(stderr=True)

UNANSWERED = (
    *(httpx.HTTPError, BotoCoreError, ClientError, DesirelineError),
    *(ConnectionError, TimeoutError),
)


class Commands(TyperGroup):
    """Commands none of which ends with a traceback because somebody pressed Ctrl-C, because what it
    asks does not answer, or because a file is not there."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            errors.print("interrupted")
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError:
            raise
        except UNANSWERED as error:
            raise fail(f"what this asks does not answer: {error}") from error
        except OSError as error:
            raise fail(reason(error), 2) from error


def fail(message: str, code: int = 1) -> typer.Exit:
    """Say what is wrong; raise what this returns."""
    errors.print(Text.assemble(("desireline:", "red"), f" {message}"), soft_wrap=True)
    return typer.Exit(code)


def the_deployment(name: str | None) -> Deployment:
    """Return the deployment of that name on AWS, or the running cloud if none is named; or end the
    command."""
    try:
        return deployment.running() if name is None else deployment.on_aws(name)
    except NotRunningError as error:
        raise fail(f"{error}, or name a deployment on AWS with --deployment", 2) from error
    except (DesirelineError, BotoCoreError) as error:
        raise fail(f"deployment '{name}' was not found: {error}", 2) from error


def reason(error: OSError) -> str:
    """What is wrong with a file, without its number."""
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
