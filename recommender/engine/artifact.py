"""One versioned directory on disk: arrays, whatever an index writes, and a manifest with the hash of every file.

    manifest.json     format version, files with bytes and SHA-256, versions, and what the caller adds
    manifest.sha256   the manifest's own hash, as `sha256sum -c` reads it
    **/*.npy          arrays, opened memory-mapped and read-only

Written aside into a hidden sibling, synced, then renamed: a reader sees all of it or none. Nothing is ever pickled.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import ArtifactDamaged, ArtifactMissing

FORMAT = 1  # raised whenever an older reader could misread what is written
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
ASIDE = ".aside-"  # prefix of the folders written aside
ARRAY_NAME = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)*")
# Whose versions can change a result.
LIBRARIES = ("numpy", "scipy", "implicit", "faiss-cpu", "gensim", "torch", "onnxruntime")


@dataclass(frozen=True)
class Artifact:
    path: Path
    manifest: Mapping[str, Any]

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Every array by its name (`folder/name` for `folder/name.npy`). Raises ArtifactDamaged."""
        names = [name.removesuffix(".npy") for name in self.manifest["files"] if name.endswith(".npy")]
        return {name: _load(self.path / f"{name}.npy") for name in names}

    def directory(self, name: str) -> Path:
        """The folder of that name inside the artifact."""
        return self.path / name


def write(
    root: Path,
    name: str,
    arrays: Mapping[str, NDArray[Any]],
    manifest: Mapping[str, Any],
    build: Callable[[Path], None] | None = None,
) -> Path:
    """Write `root/name` and return its path.

    `manifest` is any JSON object without the keys format, files and versions; `build` may write further files into
    the folder it is given. Raises FileExistsError where `root/name` exists, ValueError for a manifest that is not
    JSON, and whatever `build` raises; none of them leaves anything behind.
    """
    if taken := {"format", "files", "versions"} & set(manifest):
        raise ValueError(f"The manifest's {', '.join(sorted(taken))} is written here.")
    root.mkdir(parents=True, exist_ok=True)
    target = root / name
    with _aside(root, name) as aside:
        for array_name, array in arrays.items():
            if not ARRAY_NAME.fullmatch(array_name):
                raise ValueError(f"{array_name!r} cannot name an array.")
            path = aside / f"{array_name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array, allow_pickle=False)
        if build is not None:
            build(aside)
        files = {
            file: {"bytes": (aside / file).stat().st_size, "sha256": _hash(aside / file)} for file in _files(aside)
        }
        content = {"format": FORMAT, **manifest, "versions": versions(), "files": files}
        text = json.dumps(content, indent=1, allow_nan=False).encode()
        (aside / MANIFEST).write_bytes(text)
        (aside / SEAL).write_bytes(_seal(text))
        for path in [*aside.rglob("*"), aside]:
            _sync(path)
        if target.exists():  # rename alone would silently replace an empty folder
            raise FileExistsError(f"{target} exists already; artifacts are never overwritten.")
        aside.rename(target)
        _sync(root)
    return target


def open_artifact(path: Path, verify: bool = True) -> Artifact:
    """Open `path`; with `verify`, every byte is read and hashed, otherwise names and sizes only are compared.

    Raises ArtifactMissing where there is none, ArtifactDamaged, naming the file, where anything differs from what was
    written or the format is another one.
    """
    if not path.is_dir():
        raise ArtifactMissing(f"{path.name} is not there.")
    for name in (MANIFEST, SEAL):
        if not (path / name).is_file():
            raise ArtifactDamaged(f"{name} is missing in {path.name}.")
    text = (path / MANIFEST).read_bytes()
    try:
        manifest = json.loads(text)
        form, files = manifest["format"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactDamaged(f"{MANIFEST} in {path.name} is not a manifest.") from error
    if form != FORMAT:
        raise ArtifactDamaged(f"{path.name} has format {form!r}; this code reads format {FORMAT}. Train again.")
    if (path / SEAL).read_bytes() != _seal(text):
        raise ArtifactDamaged(f"{MANIFEST} in {path.name} is not as it was written.")
    present = set(_files(path)) - {MANIFEST, SEAL}
    if missing := sorted(set(files) - present):
        raise ArtifactDamaged(f"{', '.join(missing)} is missing in {path.name}.")
    if extra := sorted(present - set(files)):
        raise ArtifactDamaged(f"{', '.join(extra)} does not belong in {path.name}.")
    for name, file in files.items():
        if (path / name).stat().st_size != file["bytes"] or (verify and _hash(path / name) != file["sha256"]):
            raise ArtifactDamaged(f"{name} in {path.name} is not as it was written.")
    return Artifact(path, manifest)


def sweep_aside(root: Path) -> list[Path]:
    """Remove what killed writers left under `root`; returns the folders removed. Living writers are left alone."""
    removed = []
    for aside in sorted(root.glob(f"{ASIDE}*")):
        try:
            handle = os.open(aside, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # renamed or removed since the listing
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(aside, ignore_errors=True)
            removed.append(aside)
        except BlockingIOError:  # its writer lives
            pass
        finally:
            os.close(handle)
    return removed


@cache
def versions() -> dict[str, str]:
    """Python's, the libraries' and the engine's: the last is the start of a SHA-256 over its source files."""
    found = {"python": platform.python_version(), "engine": _code_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _code_version() -> str:
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        sources.update(path.read_bytes())
    return sources.hexdigest()[:12]


@contextmanager
def _aside(root: Path, name: str) -> Iterator[Path]:
    """A hidden sibling under a lock that dies with this process, which is how `sweep_aside` tells the dead from us."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{ASIDE}{name}-", dir=root))
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():  # a sweeper may have been faster than our lock
            break
        os.close(handle)
    try:
        path.chmod(0o755)  # mkdtemp keeps everyone else out; web processes may run as another user
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)  # gone already where it was renamed
        os.close(handle)


def _files(directory: Path) -> list[str]:
    return sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _load(path: Path) -> NDArray[Any]:
    try:
        # As a plain array over the mapped file: np.memmap is slow to take parts of.
        array: NDArray[Any] = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError as error:
        raise ArtifactDamaged(f"{path.name} is not a plain array.") from error
    return array
