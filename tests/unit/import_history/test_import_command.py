"""`desireline import`: what it says and how it ends, without a cloud."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from desireline_operate.cli.main import app
from tests.worlds.history_files import call, ndjson
from tests.worlds.history_samples import CRM, MIXPANEL


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["import", *map(str, arguments), "--workers", "1"], env={"COLUMNS": "160"}
    )
    return done.exit_code, done.output


def test_a_dry_run_maps_everything_and_sends_nothing(tmp_path: Path) -> None:
    """Given two files of different formats, a line of which is broken, when tried out, then the
    counts are told, the broken line is set aside, no journal is left, and it ends with 1."""
    calls = ndjson(tmp_path / "calls.ndjson", [*[call(n) for n in range(20)], []])
    export = ndjson(tmp_path / "export.ndjson", [MIXPANEL])

    code, said = run(calls, export, "--dry-run", "--state", tmp_path / "state")

    assert code == 1, said
    assert "21  would be sent" in said
    assert "1   rejected: not_an_object" in said
    (reject,) = (tmp_path / "calls.ndjson.rejects.ndjson").read_text().splitlines()
    assert json.loads(reject) == {
        "line": 21,
        "reason": "not_an_object",
        "detail": "",
        "row": "[]",
    }
    assert not (tmp_path / "state").exists()


def test_what_is_left_out_is_counted_and_no_failure(tmp_path: Path) -> None:
    calls = ndjson(tmp_path / "calls.ndjson", [call(n) for n in range(20)])

    code, said = run(calls, "--dry-run", "--leave-out", "Signed In", "--state", tmp_path / "state")

    assert code == 0, said
    assert "20  left out: Signed In" in said


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("odd.ndjson", '{"a": 1}\n', (), "was not recognised"),
        ("array.json", "[1]", (), "jq -c"),
        ("absent", None, (), "cannot read"),
        ("calls.ndjson", '{"type": "track"}\n', ("--mapping", "absent.yaml"), "absent.yaml"),
        (
            "pretty.json",
            '{"type":\n"track"}\n',
            (),
            "must be a JSON object: write one object per line",
        ),
        ("empty.json", "", (), "must be a JSON object"),
        ("calls.ndjson", '{"type": "track"}\n', ("--time-zone", "Mars/Base"), "unknown time zone"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(
    tmp_path: Path, name: str, content: str | None, options: tuple[str, ...], said: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)

    code, output = run(file, *options, "--dry-run", "--state", tmp_path / "state")

    assert code == 2
    assert said in output


def test_a_mapping_file_from_the_command_line(tmp_path: Path) -> None:
    mapping = tmp_path / "old_crm.yaml"
    mapping.write_text(CRM)
    file = tmp_path / "deals.csv"
    file.write_text("What;When;Mail;Contact;Company;Amount\nWon;13.09.2020 14:26;a@b.com;7;x;1\n")

    code, said = run(file, "--mapping", mapping, "--dry-run", "--state", tmp_path / "state")

    assert code == 0, said
    assert "1  would be sent" in said


def test_ctrl_c_ends_it_with_130_and_one_word(tmp_path: Path) -> None:
    """Given an import whose processes have only just been started, when Ctrl-C is pressed, which a
    terminal tells all of them, then it ends at once, and none of them complains."""
    calls = ndjson(tmp_path / "calls.ndjson", [call(n) for n in range(200_000)])
    running = subprocess.Popen(
        [Path(sys.executable).with_name("desireline"), "import", calls, "--dry-run"]
        + ["--workers", "2", "--state", tmp_path / "state"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore SIGINT, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    with running:
        try:
            while len(workers_of(running.pid)) < 2 and running.poll() is None:
                time.sleep(0.01)
            os.killpg(running.pid, signal.SIGINT)
            running.wait(600)
            said = running.stderr.read() if running.stderr else ""
        finally:
            running.kill()

    assert (running.returncode, said) == (130, "interrupted\n")


def workers_of(pid: int) -> list[psutil.Process]:
    """Those that have begun to load what they need, which takes them several times as long."""
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid).children()
        return [
            one
            for one in started
            if "spawn_main" in " ".join(one.cmdline()) and one.cpu_times().user > 0.1
        ]
    return []
