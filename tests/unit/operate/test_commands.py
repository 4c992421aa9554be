"""How every command ends: without a traceback, with a code that says whose turn it is."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from rich.table import Table
from typer.testing import CliRunner

from desireline_local import supervisor
from desireline_local.cloud import Addresses
from desireline_local.kafka import broker
from desireline_local.supervisor import Running, StartError, UnreadyError
from desireline_operate.cli import console, quarantine
from desireline_operate.cli.main import app
from desireline_operate.cli.times import parse_span, parse_time
from desireline_operate.deployment import NotRunningError
from tests.worlds import quarantine_api
from tests.worlds.receiving import track
from tests.worlds.repairing import Scene

LIST_IDS = "List the ids with `desireline quarantine list`"


def run(*arguments: str, columns: int = 80) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns), "TERM": "dumb"})
    return done.exit_code, done.output


def every_command() -> Iterator[tuple[str, ...]]:
    """By its words; those that only hold others as well."""
    waiting = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        yield words
        waiting += [((*words, name), one) for name, one in getattr(command, "commands", {}).items()]


@pytest.mark.parametrize("words", [*every_command()], ids=" ".join)
def test_help_fits_a_narrow_terminal_and_its_sentences_are_not_broken(words: tuple[str, ...]):
    code, said = run(*words, "--help")

    assert code == 0
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    prose = [line for line in lines if line.startswith(" ") and not line.startswith(" Usage")]
    for line, following in zip(prose, prose[1:], strict=False):
        if line.strip() and following.strip():
            first = following.split()[0]
            assert len(line.rstrip()) + 1 + len(first) > 79, f"'{line.rstrip()}' ends too early"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sned"], "Did you mean 'send'?"),
        (["send", "segmnt"], "Unknown sender 'segmnt'. Use one of"),
        (["plan", "show", "[/x]"], "the plan has no event [/x]"),
        (["redrive", "--since", "9999999999999d"], "--since '9999999999999d' is not a time"),
        (["clock", "--advance", "9999999999999d"], "is not a time span up to a year"),
        (["clock", "--advance", "400d"], "is not a time span up to a year"),
        (["clock", "--advance", "²h"], "is not a time span up to a year"),
        (["clock", "--advance", ""], "is not a time span up to a year"),
        (["logs", "aws", "--lines", "-1"], "--lines"),
        (["import", "x", "--dry-run", "--workers", "100000000"], "--workers"),
    ],
)
def test_what_is_asked_wrongly_ends_with_2_and_what_to_write(words: list[str], said: str):
    code, output = run(*words, columns=200)

    assert code == 2
    assert said in output


def test_a_time_before_all_calendars_is_none():
    assert parse_span("999999d") is not None
    with pytest.raises(typer.Exit):
        parse_time("999999d", "--since")


def test_ctrl_c_ends_any_command_with_130(monkeypatch: pytest.MonkeyPatch):
    def interrupted() -> Running:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor, "running", interrupted)

    assert run("explain", "user:ada") == (130, "interrupted\n")
    assert run("suppress", "list") == (130, "interrupted\n")


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), TimeoutError("late")])
def test_a_connection_that_breaks_is_no_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, error: OSError
):
    def broken() -> Running:
        raise error

    monkeypatch.setattr(supervisor, "running", broken)

    code, said = run("clock", columns=200)
    assert (code, said) == (
        1,
        f"desireline: a service did not answer or refused the request: {error}\n",
    )


@pytest.fixture
def nobody() -> Iterator[str]:
    """host:port where nobody answers, held so that nobody begins to."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def dead_cloud(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloud at whose addresses nobody answers."""
    url = f"http://{nobody}"
    names = [name for name in Addresses.__dataclass_fields__ if name != "deployment"]
    addresses = Addresses(**dict.fromkeys(names, url))
    monkeypatch.setattr(supervisor, "running", lambda: Running(1, addresses))


@pytest.mark.parametrize(
    "words",
    [
        ["clock"],
        ["suppress", "list"],
        ["quarantine", "list"],
        ["send", "segment"],
        ["explain", "user:ada"],
    ],
)
def test_what_does_not_answer_ends_with_1_and_no_traceback(dead_cloud: None, words: list[str]):
    code, said = run(*words, columns=300)

    assert code == 1
    assert said.startswith("desireline: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [["send", "segment"], ["produce", "company.events"], ["pull", "mixpanel"]]
)
def test_a_file_that_is_not_there_ends_with_2(dead_cloud: None, words: list[str]):
    code, said = run(*words, "/absent/file", columns=200)

    assert (code, said) == (2, "desireline: /absent/file: No such file or directory\n")


def test_where_nothing_can_be_kept_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Given a home that takes no files, when a command looks for what it keeps there, then it names
    the place."""
    (tmp_path / "file").touch()
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    monkeypatch.setattr(supervisor, "PID", tmp_path / "absent")

    code, said = run("status", columns=300)

    assert code == 2
    assert said.startswith(f"desireline: {tmp_path}/file/")
    assert "cannot store downloads there (Not a directory)" in said


def test_names_that_look_like_markup_are_listed_as_they_are(monkeypatch: pytest.MonkeyPatch):
    """Given a case whose event's name is what a terminal would take for something else, when cases
    are listed and shown, then the name is there letter by letter."""
    scene = Scene(track(1, event="Tea [/red] :smile: \x1b[31m"))
    with quarantine_api.running(quarantine_api.serve(scene)) as api:
        monkeypatch.setattr(quarantine, "the_deployment", lambda _: api.deployment())

        code, said = run("quarantine", "list", columns=160)
        shown = run("quarantine", "show", "[/x]")

    assert code == 0, said
    assert "Tea [/red] :smile: �[31m" in said
    assert "\x1b" not in said
    assert shown == (2, f"desireline: unknown case: [/x]. {LIST_IDS}\n")


def test_a_table_is_no_way_for_controls_either():
    shown = console.console
    with shown.capture() as captured:
        table = Table("a", box=None)
        table.add_row("\x1b]0;title\x07\x9b31m\r!")
        shown.print(table)
    assert captured.get().split() == ["a", "�]0;title��31m�!"]


def test_a_kafka_that_there_is_not_is_named(nobody: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(broker, "ANSWER_SECONDS", 0.5)

    with pytest.raises(broker.BrokerError, match=f"Kafka does not answer at {nobody}"):
        broker.create_topics(nobody, {"topic": 1})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for what a running cloud writes."""
    monkeypatch.setattr(supervisor, "STATE", tmp_path)
    monkeypatch.setattr(supervisor, "RUNNING", tmp_path / "running.json")
    monkeypatch.setattr(supervisor, "PID", tmp_path / "supervisor.pid")
    return tmp_path


@pytest.fixture
def alive(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that passes for the one that owns the cloud."""
    words = [sys.executable, "-c", "import time; time.sleep(600)", "desireline_local.supervisor"]
    with subprocess.Popen(words) as process:
        (state / "supervisor.pid").write_text(str(process.pid))
        try:
            yield process
        finally:
            process.kill()


def test_a_cloud_that_is_still_starting_is_not_started_again(
    state: Path, alive: subprocess.Popen[bytes]
):
    with pytest.raises(UnreadyError, match=f"still starting \\(process {alive.pid}\\)"):
        supervisor.running()
    with pytest.raises(StartError, match="it already runs"):
        supervisor.start(print)
    assert run("up")[0] == run("demo")[0] - 1 == 1


def test_a_cloud_of_another_version_is_told_and_can_be_ended(
    state: Path, alive: subprocess.Popen[bytes]
):
    """Given a cloud whose addresses this version does not understand, when it is ended, then its
    process is gone, and so are its files."""
    (state / "running.json").write_text(json.dumps({"addresses": {"webhooks": "there"}}))

    assert run("status")[0] == 3
    assert "another version of this program" in run("clock", columns=200)[1]
    assert run("down") == (0, "The local cloud is down.\n")
    assert alive.poll() is not None
    assert not state.exists()


def test_what_has_ended_is_not_taken_for_running(state: Path, alive: subprocess.Popen[bytes]):
    alive.kill()
    alive.wait()
    (state / "running.json").write_text("{}")

    with pytest.raises(NotRunningError, match="has ended"):
        supervisor.running()
    assert run("down")[0] == 3
