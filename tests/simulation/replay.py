"""`python -m tests.simulation.replay SEED`: run one history again, shrink it, and show it."""

from __future__ import annotations

import sys

from tests.simulation.history import Case, judge, shrunk


def main() -> int:
    """0 if the history breaks no property."""
    case = Case.of(int(sys.argv[1]))
    _, violations = judge(case)
    if not violations:
        sys.stdout.write(f"seed {case.seed}: every property holds\n")
        return 0
    smaller = shrunk(case, say=lambda line: sys.stdout.write(f"{line}\n"))
    _, violations = judge(smaller)
    for name, found in violations:
        sys.stdout.write(f"{name}: {found}\n")
    for post in smaller.scenario.posts:
        sys.stdout.write(f"  {post}\n")
    sys.stdout.write(f"  {smaller.faults}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
