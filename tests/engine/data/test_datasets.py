"""Data sets: files of one's own in every layout, malformed files, and the real sets where they are."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_matrix, csr_matrix, save_npz

from recommender.engine.data.datasets import DATASETS, VARIABLE, Dataset, from_npz, from_sequences, load_dataset
from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import InvalidDataset

TRAIN = csr_matrix(np.array([[1, 1, 0, 0], [0, 2, 1, 0], [1, 0, 0, 1.0]]))
TEST = csr_matrix(np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0.0]]))


def named(data: Interactions) -> list[tuple[str, str]]:
    """(user id, item id) of every event, each user's in time order."""
    return list(zip(data.users.ids(data.user_rows), data.items.ids(data.item_rows), strict=True))


@pytest.fixture
def npz(tmp_path: Path) -> tuple[Path, Path]:
    save_npz(tmp_path / "train.npz", TRAIN)
    save_npz(tmp_path / "test.npz", TEST)
    return tmp_path / "train.npz", tmp_path / "test.npz"


def test_matrices(npz: tuple[Path, Path]) -> None:
    dataset = from_npz(*npz)
    assert named(dataset.train) == [("0", "0"), ("0", "1"), ("1", "1"), ("1", "2"), ("2", "0"), ("2", "3")]
    assert named(dataset.test) == [("0", "2"), ("1", "0")]
    assert dataset.train.weights.tolist() == [1, 1, 2, 1, 1, 1]
    assert dataset.validation is None
    assert dataset.history is dataset.train
    train, validation = dataset.tuning(seed=1)
    assert len(train) + len(validation) == len(dataset.train)


def test_ids_keep_their_numbers_beyond_ten(tmp_path: Path) -> None:
    many = csr_matrix(np.eye(12))
    save_npz(tmp_path / "a.npz", many)
    dataset = from_npz(tmp_path / "a.npz", tmp_path / "a.npz")
    assert sorted(named(dataset.train)) == sorted((str(n), str(n)) for n in range(12))


def test_a_validation_matrix_is_known_when_the_test_asks(npz: tuple[Path, Path], tmp_path: Path) -> None:
    save_npz(tmp_path / "validation.npz", csr_matrix(([1.0], ([2], [1])), shape=(3, 4)))
    dataset = from_npz(*npz, tmp_path / "validation.npz")
    assert dataset.validation is not None
    assert named(dataset.validation) == [("2", "1")]
    assert len(dataset.history) == 7
    assert dataset.tuning(1) == (dataset.train, dataset.validation)


def broken_npz() -> dict[str, Callable[[Path], object]]:
    def with_indices_outside(path: Path) -> None:
        np.savez(path, indices=[9], indptr=[0, 1, 1, 1], format=b"csr", shape=[3, 4], data=[1.0])

    return {
        "not there": lambda path: path.unlink(),
        "not a zip": lambda path: path.write_bytes(b"hello"),
        "another npz": lambda path: np.savez(path, x=np.ones(3)),
        "a pickle": lambda path: np.savez(path, x=np.array([{}], dtype=object)),
        "other shape": lambda path: save_npz(path, csr_matrix(np.ones((3, 5)))),
        "NaN": lambda path: save_npz(path, csr_matrix(np.array([[np.nan, 1, 0, 0]] * 3))),
        "negative": lambda path: save_npz(path, csr_matrix(np.array([[-1.0, 1, 0, 0]] * 3))),
        "empty": lambda path: save_npz(path, csr_matrix((3, 4))),
        "zeros": lambda path: save_npz(path, coo_matrix(([0.0], ([0], [0])), shape=(3, 4))),
        "index outside": with_indices_outside,
        "words": lambda path: np.savez(
            path, indices=[0], indptr=[0, 1, 1, 1], format=b"csr", shape=[3, 4], data=np.array(["x"])
        ),
    }


@pytest.mark.parametrize("which", [0, 1], ids=["train", "test"])
@pytest.mark.parametrize("way", broken_npz())
def test_a_broken_matrix_is_refused_by_name(npz: tuple[Path, Path], way: str, which: int) -> None:
    broken_npz()[way](npz[which])
    with pytest.raises(InvalidDataset, match=npz[which].name):
        from_npz(*npz)


EXPECTED = {
    "train": [("1", "10"), ("2", "30")],
    "validation": [("1", "20"), ("2", "10")],
    "test": [("1", "30"), ("2", "20")],
}
LAYOUTS = {
    "pairs": "1 10\n2 30\n1 20\n2 10\n\n1 30\n2 20\n",
    "users": "1 10 20 30\n2 30 10 20\n",
    "items": "10 20 30 40\n10 30\n",
}


@pytest.mark.parametrize("layout", ["pairs", "users"])
@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_sequences(tmp_path: Path, layout: str, stated: bool, packed: bool) -> None:
    path = tmp_path / ("s.txt.gz" if packed else "s.txt")
    content = LAYOUTS[layout].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    dataset = from_sequences(path, layout if stated else "auto")
    assert layout in dataset.protocol
    assert {part: named(getattr(dataset, part)) for part in EXPECTED} == EXPECTED
    assert named(dataset.history) == [("1", "10"), ("1", "20"), ("2", "30"), ("2", "10")]


def test_sequences_of_items_only(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text(LAYOUTS["items"])
    dataset = from_sequences(tmp_path / "s.txt")
    assert "items" in dataset.protocol
    assert named(dataset.train) == [("0", "10"), ("0", "20"), ("1", "10")]
    assert named(dataset.test) == [("0", "40"), ("1", "30")]


def test_users_of_two_events_have_no_validation_item(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("0 5\n0 6\n1 5\n")
    dataset = from_sequences(tmp_path / "s.txt")
    assert named(dataset.test) == [("0", "6")]
    assert dataset.validation is None


@pytest.mark.parametrize(
    ("content", "layout", "complaint"),
    [
        (b"", "auto", "empty"),
        (b"\n \n", "auto", "empty"),
        (b"1 2\n1 x\n", "auto", "Line 2"),
        (b"1 2\n1 2.5\n", "auto", "Line 2"),
        (b"1 nan\n", "auto", "Line 1"),
        (b"1 -2\n", "auto", "Line 1 .* negative"),
        (b"1 2 3\n", "pairs", "Line 1"),
        (b"1 2\n3\n", "users", "Line 2 .* no items"),
        (b"1 2\n2 3\n", "auto", "empty test"),
        (b"\xff\xfe1 2", "auto", "text"),
        (b"1 2\n", "columns", "none of"),
    ],
)
def test_broken_sequences_are_refused(tmp_path: Path, content: bytes, layout: str, complaint: str) -> None:
    (tmp_path / "s.txt").write_bytes(content)
    with pytest.raises(InvalidDataset, match=complaint):
        from_sequences(tmp_path / "s.txt", layout)


def test_a_broken_gzip_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.gz").write_bytes(b"1 2\n")
    with pytest.raises(InvalidDataset, match=r"s\.gz"):
        from_sequences(tmp_path / "s.gz")
    with pytest.raises(InvalidDataset, match="not there"):
        from_sequences(tmp_path / "none.txt")


def test_a_set_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DATASETS:
        with pytest.raises(InvalidDataset, match="not there"):
            load_dataset(name, tmp_path)
    with pytest.raises(InvalidDataset, match="gowalla"):
        load_dataset("netflix", tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InvalidDataset, match=VARIABLE):
        load_dataset("gowalla")


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "ratings.parquet").write_bytes(b"PAR1")
    with pytest.raises(InvalidDataset, match="ratings"):
        load_dataset("ml-1m", tmp_path)


def test_films_bring_genres_and_half_decades(tmp_path: Path) -> None:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    columns = {"user": [1, 1, 2, 2, 3], "movie_id": [7, 10, 8, 9, 7], "rating": [5] * 5, "fold": [0, 0, 0, 1, 2]}
    pd.DataFrame(columns).to_parquet(folder / "ratings.parquet")
    assert load_dataset("ml-1m", tmp_path).train.item_features is None
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tgenre:token_seq"
    films = ["7\tA\t1995\tDrama War", "8\tB\t1999\tDrama", "9\tC\t2001\tDrama", "10\tD\t\tWar"]
    (folder / "movies.tsv").write_text("\n".join([header, *films]))
    dataset = load_dataset("ml-1m", tmp_path)
    assert dataset.validation is not None
    for part in (dataset.train, dataset.validation, dataset.test, dataset.history):
        assert part.item_features is not None
        told = dict(zip(part.items.all, part.item_features.tolist(), strict=True))  # Drama, War, from 1995
        assert told == {"7": [1, 1, 1], "8": [1, 0, 1], "9": [1, 0, 0], "10": [0, 1, 0]}


def test_beauty_brings_attributes(tmp_path: Path) -> None:
    folder = tmp_path / "beauty"
    folder.mkdir()
    (folder / "Beauty.txt.gz").write_bytes(gzip.compress(b"1 1 2 3\n2 2 1 3\n"))
    (folder / "Beauty_item2attributes.json.gz").write_bytes(gzip.compress(b'{"1": [5, 6], "3": [5], "2": [7]}'))
    dataset = load_dataset("beauty", tmp_path)
    assert dataset.train.item_features is not None
    assert dataset.train.item_features.tolist() == [[1], [0], [1]]


REAL = {
    # users, items, events to learn from, validation, test; as the sources count them
    "beauty": (22_363, 12_101, 153_776, 22_363, 22_363),
    "gowalla": (29_858, 40_981, 810_128, 0, 217_242),
    "ml-1m": (6_040, 3_706, 791_718, 99_692, 108_799),
    "ml-1m-sequences": (6_040, 3_416, 987_531, 6_040, 6_040),
    "online-retail": (3_777, 3_555, 226_467, 0, 43_687),
}


@pytest.mark.parametrize("name", DATASETS)
def test_real_sets_have_their_published_counts_and_leak_nothing(name: str) -> None:
    root = Path(os.environ.get(VARIABLE, ""))
    if not os.environ.get(VARIABLE) or not (root / name.removesuffix("-sequences")).is_dir():
        pytest.skip(f"{VARIABLE} names no folder with {name}")
    dataset: Dataset = load_dataset(name)
    held = 0 if dataset.validation is None else len(dataset.validation)
    assert (*dataset.train.shape, len(dataset.train), held, len(dataset.test)) == REAL[name]
    for known, asked in ((dataset.history, dataset.test), dataset.tuning(1)):
        n = np.int64(len(known.items))
        assert not np.isin(asked.user_rows * n + asked.item_rows, known.user_rows * n + known.item_rows).any()
