"""Build the Lambda layers with uv: for arm64, or for the host and the local cloud. No Docker.

`python -m infra.layers --platform arm64|host --out build/layers` writes
`build/layers/<platform>/<layer>/python` and prints the sizes. It skips layers whose inputs have not
changed. `python -m infra.layer_locks` locks the third-party packages.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import platform as host
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from filelock import FileLock
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "layers"
RUNTIME_PYTHON = "3.13"
"""The minor version of the Lambda runtime, for which arm64 layers are built."""

AWS_PLATFORM = "aarch64-manylinux_2_28"
_RECIPE = 1
"""Part of every stamp. Raise it if a change of this module changes the built layers."""

_UNUSED_FOLDERS = frozenset({"tests", "__pycache__", "f2py", "include"})
_UNUSED_SUFFIXES = frozenset({".a", ".c", ".cpp", ".h", ".pxd", ".pyi", ".pyx"})
_INSTALLER_TRACES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "WHEEL"})

log = logging.getLogger("infra.layers")


class Platform(StrEnum):
    """The target of a layer: Lambda on Graviton, or this machine and this interpreter."""

    ARM64 = "arm64"
    HOST = "host"

    @property
    def target(self) -> str:
        """The identity of a build: operating system, processor, Python."""
        if self is Platform.ARM64:
            return f"{AWS_PLATFORM}-{RUNTIME_PYTHON}"
        return f"{sys.platform}-{host.machine()}-{sys.implementation.cache_tag}"

    @property
    def uv_options(self) -> list[str]:
        """The options with which uv resolves wheels for this target."""
        if self is Platform.ARM64:
            return ["--python-platform", AWS_PLATFORM, "--python-version", RUNTIME_PYTHON]
        return ["--python", sys.executable]

    @property
    def compiler(self) -> str | None:
        """An interpreter that writes the target's byte code, or None if this machine has none."""
        return sys.executable if self is Platform.HOST else _interpreter(RUNTIME_PYTHON)


class Layer(StrEnum):
    """The layers: four of third-party packages, two of our own."""

    BASE = "base"
    KAFKA = "kafka"
    SCORE = "score"
    VERIFY = "verify"
    DESIRELINE = "desireline"
    MODELS = "models"

    @property
    def source(self) -> Path:
        """The package to copy, or the folder with the lock file to install."""
        match self:
            case Layer.DESIRELINE:
                return ROOT / "layers/desireline"
            case Layer.MODELS:
                return ROOT / "layers/desireline_models"
            case _:
                return ROOT / "layers/runtime" / self.value

    @property
    def is_ours(self) -> bool:
        return self in {Layer.DESIRELINE, Layer.MODELS}

    def folder(self, platform: Platform, out: Path = OUT) -> Path:
        """Return the folder of the built layer. Its `python` folder will be on the import path."""
        return out / platform.value / self.value


class NotBuiltError(Exception):
    """A layer is missing, or older than its sources."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """One layer on disk. `size` is unzipped, in bytes; `rebuilt` is False if it was current."""

    layer: Layer
    folder: Path
    size: int
    rebuilt: bool


def stamp(layer: Layer, platform: Platform) -> str:
    """Return a hash of the layer's inputs, 64 hexadecimal digits."""
    digest = hashlib.sha256(f"{_RECIPE} {platform.target}".encode())
    for path in _inputs(layer):
        digest.update(str(path.relative_to(layer.source)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def fingerprint(layer: Layer, platform: Platform, out: Path = OUT) -> str:
    """Return a hash of the built layer. Raises NotBuiltError if it is missing or stale.

    Unlike the stamp, it differs between layers with and without byte code.
    """
    folder = layer.folder(platform, out)
    if _recorded(folder) != stamp(layer, platform):
        raise NotBuiltError(
            f"layer {layer} for {platform} is missing or older than its sources: "
            f"run python -m infra.layers --platform {platform}"
        )
    return hashlib.sha256(_stamp_file(folder).read_bytes()).hexdigest()


def build(
    platform: Platform, out: Path = OUT, layers: Iterable[Layer] = tuple(Layer)
) -> list[Built]:
    """Build the layers that are not current. Processes that build into one folder wait for each
    other. Raises CalledProcessError if uv fails, after uv has printed the reason."""
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / "lock"):
        return _build(platform, out, layers)


def _build(platform: Platform, out: Path, layers: Iterable[Layer]) -> list[Built]:
    results = []
    for layer in layers:
        folder = layer.folder(platform, out)
        digest = stamp(layer, platform)
        rebuild = _recorded(folder) != digest
        if rebuild:
            _build_one(layer, platform, folder, digest)
        results.append(Built(layer=layer, folder=folder, size=size(folder), rebuilt=rebuild))
    return results


def size(folder: Path) -> int:
    """Return the bytes of all files below the folder, which count against Lambda's limit."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _build_one(layer: Layer, platform: Platform, folder: Path, digest: str) -> None:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    target = fresh / "python"
    target.mkdir(parents=True)
    if layer.is_ours:
        _copy_package(layer.source, target)
    else:
        _install(layer, platform, target)
    _prune(target)
    compiled = _compile(target, platform)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    _stamp_file(folder).write_text(f"{digest} {'compiled' if compiled else 'source'}\n")


def _copy_package(source: Path, target: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    # copytree follows links: `resources` links to folders at the top of the repository.
    shutil.copytree(source, target / source.name, ignore=ignored)


def _install(layer: Layer, platform: Platform, target: Path) -> None:
    run_uv(
        *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--no-compile-bytecode", "--target", str(target), *platform.uv_options),
        *("--requirements", str(layer.source / "requirements.txt")),
    )


def _prune(target: Path) -> None:
    for path in sorted(target.rglob("*"), reverse=True):
        in_dist_info = path.parent.suffix == ".dist-info"
        if path.is_dir() and (path.name in _UNUSED_FOLDERS or path.name.endswith("-stubs")):
            shutil.rmtree(path)
        elif path.is_file() and (
            path.suffix in _UNUSED_SUFFIXES or (in_dist_info and path.name in _INSTALLER_TRACES)
        ):
            path.unlink()
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)


def _compile(target: Path, platform: Platform) -> bool:
    """Write byte code that Python never checks against its source, because layers are read-only."""
    compiler = platform.compiler
    if compiler is None:
        log.warning(
            "no Python %s on this machine: %s gets no byte code", RUNTIME_PYTHON, target.parent.name
        )
        return False
    subprocess.run(
        [compiler, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        + ["-s", str(target), "-p", "/opt/python", str(target)],
        check=True,
    )
    return True


@cache
def _interpreter(version: str) -> str | None:
    found = shutil.which(f"python{version}")
    for candidate in filter(None, [found, _uv_python(version)]):
        answer = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.stdout.strip() == version:
            return candidate
    return None


def _uv_python(version: str) -> str:
    found = subprocess.run(
        [find_uv_bin(), "python", "find", "--offline", "--no-project", version],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()


def _inputs(layer: Layer) -> Iterator[Path]:
    if not layer.is_ours:
        yield layer.source / "requirements.txt"
        return
    yield from _files(layer.source)


def _files(folder: Path) -> Iterator[Path]:
    # Path.rglob does not follow links before Python 3.13.
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _stamp_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.stamp")


def _recorded(folder: Path) -> str | None:
    file = _stamp_file(folder)
    return file.read_text().split()[0] if folder.is_dir() and file.exists() else None


def run_uv(*arguments: str) -> None:
    """Run uv in the repository. Raises CalledProcessError, after uv has printed the reason."""
    subprocess.run([find_uv_bin(), *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.layers", description=__doc__)
    parser.add_argument("--platform", type=Platform, choices=list(Platform), default=Platform.ARM64)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for built in build(options.platform, options.out):
        state = "built" if built.rebuilt else "current"
        log.info("%-11s %6.1f MB  %s", built.layer, built.size / 1e6, state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
