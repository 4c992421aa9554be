"""Lock the packages of the third-party layers: `python -m infra.layer_locks`.

It compiles `layers/runtime/*/requirements.in` to `requirements.txt`, for all platforms, with hashes
and the versions of uv.lock. So the deployed versions are those that the tests run with.
"""

from __future__ import annotations

import logging
import sys

from infra.layers import ROOT, Layer, run_uv

IN_LAMBDA_RUNTIME = ("boto3", "botocore", "s3transfer", "python-dateutil", "six", "urllib3")
"""Packages of the Lambda runtime. With them the layers would be twice as large."""

NEVER_IMPORTED = ("click", "pycparser")
"""Dependencies that functions never import: of the MSK signer's command, and of cffi's build."""

log = logging.getLogger("infra.layer_locks")


def lock(layer: Layer) -> None:
    """Compile requirements.in to requirements.txt with hashes, at the versions of uv.lock."""
    constraints = ROOT / "build" / "constraints.txt"
    constraints.parent.mkdir(exist_ok=True)
    run_uv(
        *("export", "--frozen", "--all-packages", "--all-extras", "--no-emit-workspace"),
        *("--no-hashes", "--no-annotate", "--no-header", "--output-file", str(constraints)),
    )
    omitted = [*IN_LAMBDA_RUNTIME, *NEVER_IMPORTED]
    if layer is not Layer.BASE:
        omitted += _locked_names(Layer.BASE)
    run_uv(
        *("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
        *("--constraints", str(constraints), "--quiet"),
        *("--custom-compile-command", "python -m infra.layer_locks"),
        *(option for name in omitted for option in ("--no-emit-package", name)),
        *("--output-file", str(layer.source.relative_to(ROOT) / "requirements.txt")),
        str(layer.source.relative_to(ROOT) / "requirements.in"),
    )


def _locked_names(layer: Layer) -> list[str]:
    lines = (layer.source / "requirements.txt").read_text().splitlines()
    return [line.partition("==")[0] for line in lines if "==" in line and line[0].isalpha()]


def main() -> int:
    """Lock all layers, and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for layer in (layer for layer in Layer if not layer.is_ours):
        lock(layer)
        log.info("%s: %d packages", layer, len(_locked_names(layer)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
