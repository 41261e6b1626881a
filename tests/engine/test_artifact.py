"""An artifact is whole or it is refused, and a failed write leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recommender.engine import artifact
from recommender.engine.artifact import ASIDE, MANIFEST, SEAL, open_artifact, sweep_aside, write
from recommender.engine.errors import ArtifactDamaged, ArtifactMissing

ARRAYS = {
    "items": np.array([b"a", b"bcd"]),
    "learned/item_vectors": np.arange(6, dtype=np.float32).reshape(2, 3),
    "empty": np.empty((0, 4), np.float32),
}


def build(directory: Path) -> None:
    (directory / "index").mkdir()
    (directory / "index" / "ivf.faiss").write_bytes(b"an index")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "artifacts", "run-1", ARRAYS, {"trainer": "als", "metrics": {"ndcg@10": 0.5}}, build)


def test_what_is_written_is_read(path: Path) -> None:
    opened = open_artifact(path)
    assert set(opened.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(opened.arrays[name], array)
        assert opened.arrays[name].dtype == array.dtype
    assert opened.manifest["metrics"] == {"ndcg@10": 0.5}
    assert opened.manifest["versions"]["numpy"] == np.__version__
    assert (opened.directory("index") / "ivf.faiss").read_bytes() == b"an index"


def test_arrays_are_mapped_and_read_only(path: Path) -> None:
    vectors = open_artifact(path).arrays["learned/item_vectors"]
    assert isinstance(vectors.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        vectors[0, 0] = 1


def test_sha256sum_agrees(path: Path) -> None:
    subprocess.run(["sha256sum", "-c", "--status", SEAL], cwd=path, check=True)


def test_others_may_read_it(path: Path) -> None:
    assert path.stat().st_mode & 0o055 == 0o055


def every_file(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_changed_byte_is_refused_by_the_file_s_name(path: Path, place: int, where: str) -> None:
    files = every_file(path)
    assert len(files) == 6
    content = bytearray(files[place].read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[where]
    content[at] ^= 1
    files[place].write_bytes(content)
    name = MANIFEST if files[place].name == SEAL else files[place].name
    with pytest.raises(ArtifactDamaged, match=name):
        open_artifact(path)


@pytest.mark.parametrize("place", range(6))
def test_a_missing_file_is_refused_by_its_name(path: Path, place: int) -> None:
    file = every_file(path)[place]
    file.unlink()
    with pytest.raises(ArtifactDamaged, match=file.name):
        open_artifact(path, verify=False)


@pytest.mark.parametrize("place", range(6))
def test_a_truncated_file_is_refused_even_unverified(path: Path, place: int) -> None:
    file = every_file(path)[place]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ArtifactDamaged):
        open_artifact(path, verify=False)


@pytest.mark.parametrize("name", ["extra.npy", "index/extra", ".hidden"])
def test_an_extra_file_is_refused_by_its_name(path: Path, name: str) -> None:
    (path / name).write_bytes(b"")
    with pytest.raises(ArtifactDamaged, match=name):
        open_artifact(path)


def test_an_extra_link_is_refused(path: Path) -> None:
    (path / "link").symlink_to("/etc")
    with pytest.raises(ArtifactDamaged, match="link"):
        open_artifact(path)


def rewrite(path: Path, change: Callable[[dict], object]) -> None:
    manifest = json.loads((path / MANIFEST).read_text())
    change(manifest)
    text = json.dumps(manifest).encode()
    (path / MANIFEST).write_bytes(text)
    (path / SEAL).write_bytes(artifact._seal(text))


def test_another_format_is_refused(path: Path) -> None:
    rewrite(path, lambda manifest: manifest.update(format=2))
    with pytest.raises(ArtifactDamaged, match="format 2; this code reads format 1"):
        open_artifact(path)


@pytest.mark.parametrize("key", ["format", "files"])
def test_a_manifest_without_its_keys_is_refused(path: Path, key: str) -> None:
    rewrite(path, lambda manifest: manifest.pop(key))
    with pytest.raises(ArtifactDamaged, match=MANIFEST):
        open_artifact(path)


@pytest.mark.parametrize("text", [b"", b"not json", b"[]", b"null", b"\xff\xfe", b'{"format": 1, "files": 3}'])
def test_a_manifest_that_is_none_is_refused(path: Path, text: bytes) -> None:
    (path / MANIFEST).write_bytes(text)
    (path / SEAL).write_bytes(artifact._seal(text))
    with pytest.raises(ArtifactDamaged, match=MANIFEST):
        open_artifact(path)


def test_pickles_are_neither_written_nor_read(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write(tmp_path, "objects", {"x": np.array([{}], dtype=object)}, {})
    np.save(path / "items.npy", np.array([{}], dtype=object), allow_pickle=True)
    size = (path / "items.npy").stat().st_size
    rewrite(path, lambda manifest: manifest["files"]["items.npy"].update(bytes=size))
    with pytest.raises(ArtifactDamaged, match=r"items\.npy"):
        _ = open_artifact(path, verify=False).arrays


def test_a_missing_artifact_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="run-9"):
        open_artifact(tmp_path / "run-9")


def test_nothing_is_overwritten(path: Path) -> None:
    before = (path / MANIFEST).read_bytes()
    with pytest.raises(FileExistsError):
        write(path.parent, path.name, ARRAYS, {})
    assert (path / MANIFEST).read_bytes() == before
    (path.parent / "empty").mkdir()
    with pytest.raises(FileExistsError):
        write(path.parent, "empty", ARRAYS, {})
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["empty", "run-1"]


def failing(directory: Path) -> None:
    build(directory)
    raise OSError("disk full")


@pytest.mark.parametrize(
    ("arrays", "manifest", "make", "error"),
    [
        (ARRAYS, {}, failing, OSError),
        (ARRAYS, {"metric": float("nan")}, build, ValueError),
        (ARRAYS, {"metric": object()}, build, TypeError),
        (ARRAYS, {"files": {}}, build, ValueError),
        ({"../outside": np.zeros(1)}, {}, build, ValueError),
        ({"a/../../outside": np.zeros(1)}, {}, build, ValueError),
    ],
)
def test_a_failed_write_leaves_nothing(tmp_path: Path, arrays, manifest, make, error) -> None:
    root = tmp_path / "artifacts"
    root.mkdir()
    with pytest.raises(error):
        write(root, "run-1", arrays, manifest, make)
    assert list(root.iterdir()) == []
    assert not (tmp_path / "outside.npy").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from recommender.engine.artifact import write
def build(directory):
    print(directory, flush=True)
    {then}
write(Path(sys.argv[1]), "run-1", {{"x": np.zeros(3)}}, {{}}, build)
"""


def test_a_killed_writer_leaves_no_artifact_and_is_swept(tmp_path: Path) -> None:
    program = KILLED.format(then="os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    aside = Path(done.stdout.strip())
    assert [entry.name for entry in tmp_path.iterdir()] == [aside.name]
    assert aside.name.startswith(ASIDE)
    assert sweep_aside(tmp_path) == [aside]
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, "run-1", ARRAYS, {})
    open_artifact(tmp_path / "run-1")


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    program = KILLED.format(then="sys.stdin.read()")
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        aside = Path(writer.stdout.readline().strip())
        assert sweep_aside(tmp_path) == []
        assert aside.is_dir()
        writer.communicate("")
    assert writer.returncode == 0
    open_artifact(tmp_path / "run-1")
    assert os.listdir(tmp_path) == ["run-1"]
