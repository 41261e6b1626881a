"""Data sets to measure on, by name from the folder that RECSITE_DATA names, or from files of one's own.

Every loader gives the same thing: what to learn from, what to choose settings by, and what to test with, over the
same ids. Nothing is downloaded.
"""

import gzip
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.features import multi_hot
from recommender.engine.data.interactions import Ids, Interactions
from recommender.engine.data.split import leave_one_out, random_split, share_split, time_split
from recommender.engine.errors import InvalidDataset

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

VARIABLE = "RECSITE_DATA"
RETAIL_CUT_S = 1_314_835_200  # 2011-09-01 00:00 UTC
VALIDATION_SHARE = 0.15  # of the training part, where a set brings no validation part of its own
LAYOUTS = ("auto", "pairs", "users", "items")


@dataclass(frozen=True)
class Dataset:
    name: str
    train: Interactions
    validation: Interactions | None
    """The set's own, or None where it has to be cut from the training part."""
    test: Interactions
    protocol: str
    """How it was split, in words."""
    cut: str = "random"
    """How a validation part is cut: "random" items of each user, the last by "time", or each user's "last" item."""
    texts: tuple[str, ...] | None = None
    """(N,): what each item says of itself, empty where it says nothing; None where none does."""

    @cached_property
    def history(self) -> Interactions:
        """What is known of a user when the test asks: the training and the validation part."""
        return self.train if self.validation is None else join(self.train, self.validation)

    def tuning(self, seed: int) -> tuple[Interactions, Interactions]:
        """A part to learn from and one to choose settings by; neither holds anything of the test."""
        if self.validation is not None:
            return self.train, self.validation
        if self.cut == "time":
            train, validation, _ = share_split(self.train, VALIDATION_SHARE)
            return train, validation
        if self.cut == "last":
            return leave_one_out(self.train)
        return random_split(self.train, VALIDATION_SHARE, seed)


def join(a: Interactions, b: Interactions) -> Interactions:
    """Both parts' events, over the ids they share."""
    return Interactions.build(
        a.users,
        a.items,
        np.concatenate((a.user_rows, b.user_rows)),
        np.concatenate((a.item_rows, b.item_rows)),
        np.concatenate((a.weights, b.weights)),
        np.concatenate((a.times, b.times)),
        None if a.baskets is None or b.baskets is None else np.concatenate((a.baskets, b.baskets)),
        a.item_features,
    )


def load_dataset(name: str, root: Path | None = None) -> Dataset:
    """The named set, from `root` or the folder that RECSITE_DATA names. Raises InvalidDataset."""
    if name not in DATASETS:
        raise InvalidDataset(f"{name!r} is none of: {', '.join(sorted(DATASETS))}.")
    folder = root or Path(os.environ.get(VARIABLE, ""))
    if root is None and not os.environ.get(VARIABLE):
        raise InvalidDataset(f"Set {VARIABLE} to the folder that holds {name}, or pass files of your own.")
    return DATASETS[name](folder)


def from_npz(train: Path, test: Path, validation: Path | None = None, name: str = "npz") -> Dataset:
    """SciPy sparse matrices (users x items) as `scipy.sparse.save_npz` writes them; a value is a weight.

    Raises InvalidDataset for a missing or malformed file, different shapes, negative or non-finite values, or nothing
    to learn from or to test with.
    """
    paths = [train, test] + ([validation] if validation else [])
    matrices = [_matrix(path) for path in paths]
    if len({matrix.shape for matrix in matrices}) > 1:
        shapes = ", ".join(f"{path.name} {matrix.shape}" for path, matrix in zip(paths, matrices, strict=True))
        raise InvalidDataset(f"The shapes differ: {shapes}.")
    users, items = (_numbered(size) for size in matrices[0].shape)
    parts = []
    for matrix in matrices:
        coo = matrix.tocoo()
        times = np.zeros(coo.nnz, np.int64)  # a matrix knows no order
        parts.append(Interactions.build(users[0], items[0], users[1][coo.row], items[1][coo.col], coo.data, times))
    held = parts[2] if validation else None
    return Dataset(name, parts[0], held, parts[1], f"train on {train.name}, test on {test.name}")


def from_sequences(path: Path, layout: str = "auto", name: str = "") -> Dataset:
    """Whole numbers, 0 or more, in time order, one file for all: each user's last item is the test, the one before it
    the validation part. Text, or the same gzipped.

    Layouts: "pairs", a line is `user item`; "users", a line is a user and then their items; "items", a line is one
    user's items. "auto" takes a file whose every line has two numbers for pairs, one whose first numbers rise from
    line to line for users, any other for items; `protocol` says which it took. Raises InvalidDataset.
    """
    if layout not in LAYOUTS:
        raise InvalidDataset(f"The layout {layout!r} is none of: {', '.join(LAYOUTS)}.")
    lines = _whole_numbers(path)
    if layout == "auto":
        rising = all(above[0] < below[0] for above, below in pairwise(lines))
        layout = "pairs" if {len(line) for line in lines} == {2} else "users" if rising else "items"
    if layout == "pairs":
        if wrong := [number for number, line in enumerate(lines, 1) if len(line) != 2]:
            raise InvalidDataset(f"Line {wrong[0]} of {path} is not `user item`.")
        users, items = [line[0] for line in lines], [line[1] for line in lines]
    else:
        own = lines if layout == "items" else [line[1:] for line in lines]
        if empty := [number for number, line in enumerate(own, 1) if not line]:
            raise InvalidDataset(f"Line {empty[0]} of {path} has no items.")
        names = list(range(len(lines))) if layout == "items" else [line[0] for line in lines]
        users = [name for name, line in zip(names, own, strict=True) for _ in line]
        items = [item for line in own for item in line]
    protocol = f"leave one out; read {path.name} as {layout}"
    return _sequences(name or path.name, np.array(users), np.array(items), protocol)


def _ml_1m(root: Path) -> Dataset:
    ratings = _table(root / "ml-1m" / "ratings.parquet", ("user", "movie_id", "rating", "fold"))
    users, user_rows = Ids.factorize(ratings["user"])
    items, item_rows = Ids.factorize(ratings["movie_id"])
    folds = [np.flatnonzero(ratings["fold"] == number) for number in (0, 1, 2)]
    train, validation, test = (
        Interactions.build(users, items, user_rows[rows], item_rows[rows], times=rows) for rows in folds
    )
    dataset = Dataset("ml-1m", train, validation, test, "train fold 0, validation fold 1, test fold 2")
    films = _films(root / "ml-1m" / "movies.tsv")
    texts = tuple(films[item].text if item in films else "" for item in items.all)
    described = _described(_checked(dataset), {item: film.words for item, film in films.items()})
    return replace(described, texts=texts if films else None)


def _ml_1m_sequences(root: Path) -> Dataset:
    path = root / "ml-1m" / "sequences.npz"
    with _opened(path) as arrays:
        return _sequences("ml-1m-sequences", arrays["user"], arrays["item"], "leave one out")


def _gowalla(root: Path) -> Dataset:
    folder = root / "gowalla"
    return from_npz(folder / "train.npz", folder / "test.npz", name="gowalla")


def _beauty(root: Path) -> Dataset:
    dataset = from_sequences(root / "beauty" / "Beauty.txt.gz", "users", "beauty")
    return _described(dataset, _attributes(root / "beauty" / "Beauty_item2attributes.json.gz"))


def _online_retail(root: Path) -> Dataset:
    columns = ("invoice", "stock_code", "description", "quantity", "invoiced_at", "unit_price_gbp", "customer")
    lines = _table(root / "online-retail" / "transactions.parquet", columns)
    sold = (lines["quantity"] > 0) & (lines["unit_price_gbp"] > 0) & lines["customer"].notna()
    lines = lines[sold & ~lines["invoice"].str.startswith("C")]
    times = lines["invoiced_at"].to_numpy().astype("datetime64[s]").astype(np.int64)
    baskets = Ids.factorize(lines["invoice"])[1].astype(np.int64)
    users, user_rows = Ids.factorize(lines["customer"].astype(str))
    items, item_rows = Ids.factorize(lines["stock_code"])
    data = Interactions.build(users, items, user_rows, item_rows, times=times, baskets=baskets)
    train, test = time_split(data, RETAIL_CUT_S)
    protocol = "train before 2011-09-01, test on each customer's new items from then on"
    names = lines["description"].fillna("").astype(str).str.strip()
    usual = names.groupby(lines["stock_code"].astype(str)).agg(lambda own: own.value_counts().index[0])
    texts = tuple(usual.reindex(items.all).fillna("").str.capitalize())  # which are shouted
    return _checked(Dataset("online-retail", train, None, test, protocol, cut="time", texts=texts))


DATASETS: Mapping[str, Callable[[Path], Dataset]] = {
    "beauty": _beauty,
    "gowalla": _gowalla,
    "ml-1m": _ml_1m,
    "ml-1m-sequences": _ml_1m_sequences,
    "online-retail": _online_retail,
}


def _sequences(name: str, users: NDArray[Any], items: NDArray[Any], protocol: str) -> Dataset:
    """Events in time order, two columns (E,), split by leaving one out twice."""
    user_ids, user_rows = Ids.factorize(users)
    item_ids, item_rows = Ids.factorize(items)
    history, test = leave_one_out(Interactions.build(user_ids, item_ids, user_rows, item_rows))
    train, validation = leave_one_out(history)
    return _checked(Dataset(name, train, validation if len(validation) else None, test, protocol, cut="last"))


def _described(dataset: Dataset, words: Mapping[str, Iterable[str]]) -> Dataset:
    """With item features of each item's `words`, by its id."""
    features = multi_hot([words.get(item, ()) for item in dataset.train.items.all])
    parts = (dataset.train, dataset.validation, dataset.test)
    train, validation, test = (None if part is None else replace(part, item_features=features) for part in parts)
    assert train is not None and test is not None
    return replace(dataset, train=train, validation=validation, test=test)


class _Film(NamedTuple):
    text: str
    words: list[str]
    """Its genres and half decade."""


def _films(path: Path) -> Mapping[str, _Film]:
    """By id; none where the file is not there."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        movie, title, year, genres = line.split("\t")
        words = [*genres.split(), f"from {int(year) // 5 * 5}"] if year.isdigit() else genres.split()
        found[movie] = _Film(f"{title} ({year}): {genres}", words)
    return found


def _attributes(path: Path) -> Mapping[str, list[str]]:
    """Attributes of each item; none where the file is not there."""
    if not path.is_file():
        return {}
    return {
        item: [str(number) for number in own] for item, own in json.loads(gzip.decompress(path.read_bytes())).items()
    }


def _numbered(size: int) -> tuple[Ids, NDArray[np.int32]]:
    """Ids "0" to "size - 1", and the row of each number."""
    names = [str(number) for number in range(size)]
    ids = Ids.of(names)
    return ids, ids.rows(names)


def _matrix(path: Path) -> "csr_matrix":
    from scipy.sparse import csr_matrix, load_npz

    if not path.is_file():
        raise InvalidDataset(f"{path} is not there.")
    try:
        matrix = csr_matrix(load_npz(path), dtype=np.float32)
        matrix.check_format(full_check=True)
    except Exception as error:  # zipfile, NumPy and SciPy each raise their own
        raise InvalidDataset(f"{path} is not a sparse matrix as scipy.sparse.save_npz writes it: {error}") from error
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise InvalidDataset(f"{path} holds NaN or infinity.")
    if (matrix.data < 0).any():
        raise InvalidDataset(f"{path} holds negative values.")
    matrix.eliminate_zeros()
    if not matrix.nnz:
        raise InvalidDataset(f"{path} is empty.")
    return matrix


def _whole_numbers(path: Path) -> list[list[int]]:
    if not path.is_file():
        raise InvalidDataset(f"{path} is not there.")
    try:
        text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"{path} is not readable as text: {error}") from error
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            values = [int(word) for word in line.split()]
        except ValueError:
            raise InvalidDataset(f"Line {number} of {path} holds something that is not a whole number.") from None
        if values and min(values) < 0:
            raise InvalidDataset(f"Line {number} of {path} holds a negative id.")
        if values:
            lines.append(values)
    if not lines:
        raise InvalidDataset(f"{path} is empty.")
    return lines


def _table(path: Path, columns: tuple[str, ...]) -> Any:
    """A Parquet file's columns as a pandas data frame."""
    import pandas as pd

    if not path.is_file():
        raise InvalidDataset(f"{path} is not there.")
    try:
        return pd.read_parquet(path, columns=list(columns))
    except Exception as error:  # pyarrow's errors have no root of their own
        raise InvalidDataset(f"{path} cannot be read: {error}") from error


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise InvalidDataset(f"{path} is not there.")
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise InvalidDataset(f"{path} cannot be read: {error}") from error


def _checked(dataset: Dataset) -> Dataset:
    for part in ("train", "test"):
        if not len(getattr(dataset, part)):
            raise InvalidDataset(f"{dataset.name} has an empty {part} part.")
    return dataset
