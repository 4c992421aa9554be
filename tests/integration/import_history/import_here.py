"""`python import_here.py BOOTSTRAP FILE FOLDER`: imports a Segment archive with two processes."""

from __future__ import annotations

import sys
from pathlib import Path

from desireline_operate.import_history.files import Format, digest, inspect_file
from desireline_operate.import_history.formats import SourceSpec
from desireline_operate.import_history.import_file import Options, Processes, import_file
from desireline_operate.import_history.journal import Journal
from desireline_operate.import_history.worker import ImportTarget, ImportTask


def main() -> None:
    bootstrap, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    place = ImportTarget(
        bootstrap=bootstrap,
        auth="plaintext",
        region="",
        secret=b"secret",
        received_at=1_767_600_000_000,
        stamped=1_767_600_000_000,
        mark="import-1",
    )
    work = ImportTask(
        file=inspect_file(path), spec=SourceSpec(format=Format.SEGMENT), digest=digest(path)
    )
    with (
        Processes(place, 2) as processes,
        Journal(folder / "journal", folder / "rejects") as journal,
    ):
        import_file(work, journal, processes, options=Options(chunk_bytes=20_000))
    sys.stdout.write(f"{journal.totals.accepted} {journal.totals.rejected.total()}\n")


if __name__ == "__main__":
    main()
