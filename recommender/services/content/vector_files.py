"""Vectors in files of other tools: npz, Parquet, word2vec's text, and the Embedding layer of a Keras model.

Of a Keras model the weights alone are read, as plain HDF5: nothing of the model is built and no code of it runs.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidDataset

MAX_BYTES = 8 * 2**30  # unpacked, of one array
IDS = ("ids", "item_ids", "item_id", "id", "keys")
VECTORS = ("vectors", "vector", "embeddings", "embedding")
SUFFIXES = ".npz, .parquet, .txt, .vec, .keras, .weights.h5"
CHUNK = 10_000  # rows read at once
LONGEST_LINE = 1_000_000  # characters


@dataclass(frozen=True)
class Row:
    place: int
    """Line or row, counted from 1 as editors count."""
    item_id: str
    vector: NDArray[np.float32] | str
    """Or what is wrong with it."""


def read(
    path: Path, *, layer: str = "", vocabulary: Path | None = None, id_column: str = "", vector_column: str = ""
) -> Iterator[Row]:
    """The file's rows, one after the other. `layer` and `vocabulary` (an id a line, an empty one for none) are for
    Keras; the columns for Parquet. Raises InvalidDataset, OSError."""
    if not path.is_file():
        raise InvalidDataset(f"{path} is not a file.")
    kind = path.name.lower()
    try:
        if kind.endswith(".npz"):
            yield from _npz(path)
        elif kind.endswith(".parquet"):
            yield from _parquet(path, id_column, vector_column)
        elif kind.endswith((".keras", ".weights.h5")):
            yield from _keras(path, layer, vocabulary)
        elif kind.endswith((".txt", ".vec")):
            yield from _text(path)
        else:
            raise InvalidDataset(f"{path.name} ends in none of {SUFFIXES}.")
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InvalidDataset(f"{path.name} cannot be read: {error}") from error


def _npz(path: Path) -> Iterator[Row]:
    with zipfile.ZipFile(path) as archive:
        if largest := [entry.filename for entry in archive.infolist() if entry.file_size > MAX_BYTES]:
            raise InvalidDataset(f"{largest[0]} in {path.name} unpacks to more than {MAX_BYTES // 2**30} GiB.")
    with np.load(path, allow_pickle=False) as stored:
        ids = stored[_named(stored.files, IDS, path)]
        vectors = stored[_named(stored.files, VECTORS, path)]
    if ids.ndim != 1 or vectors.ndim != 2 or len(ids) != len(vectors):
        raise InvalidDataset(f"ids must be (N,) and vectors (N, D), not {ids.shape} and {vectors.shape}.")
    if vectors.dtype.kind not in "fiu":
        raise InvalidDataset(f"vectors must be numbers, not {vectors.dtype}.")
    for place, (item_id, vector) in enumerate(zip(ids.tolist(), vectors, strict=True), 1):
        yield Row(place, _id(item_id), vector.astype(np.float32))


def _parquet(path: Path, id_column: str, vector_column: str) -> Iterator[Row]:
    """An id beside one column of lists, or beside columns of numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        ids = id_column or _named(schema.names, IDS, path)
        lists = [
            field.name for field in schema if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
        ]
        numbers = [
            f.name for f in schema if f.name != ids and (pa.types.is_floating(f.type) or pa.types.is_integer(f.type))
        ]
        column = vector_column or (lists[0] if len(lists) == 1 else next((n for n in VECTORS if n in lists), ""))
        if not column and not numbers:
            raise InvalidDataset(
                f"{path.name} has no column of lists and none of numbers; it has {', '.join(schema.names)}."
            )
        place = 0
        for batch in file.iter_batches(CHUNK, columns=[ids, column] if column else [ids, *numbers]):
            if column:
                cells: Any = batch.column(column).to_pylist()
            else:
                table = [batch.column(name).to_numpy(zero_copy_only=False) for name in numbers]
                cells = np.stack([values.astype(np.float32) for values in table], axis=1)
            for item_id, cell in zip(batch.column(ids).to_pylist(), cells, strict=True):
                place += 1
                yield Row(place, _id(item_id), _vector(cell))
    except pa.ArrowException as error:
        raise InvalidDataset(f"{path.name} cannot be read: {error}") from error


def _text(path: Path) -> Iterator[Row]:
    """A line for each item: its id and its numbers. A first line of two numbers says how many of what length."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for place, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), 1):
            parts = line.split()
            if not parts or (place == 1 and len(parts) == 2 and all(part.isdigit() for part in parts)):
                continue
            yield Row(place, parts[0], _vector(parts[1:]))


def _keras(path: Path, layer: str, vocabulary: Path | None) -> Iterator[Row]:
    with _weights(path) as file:
        found = _embeddings(file)
        if not found:
            raise InvalidDataset(f"{path.name} has no Embedding layer.")
        if not layer and len(found) > 1:
            raise InvalidDataset(f"{path.name} has the Embedding layers {', '.join(found)}; choose one by --layer.")
        if layer and layer not in found:
            raise InvalidDataset(f"{path.name} has no Embedding layer {layer!r}; it has {', '.join(found)}.")
        weights = found[layer or next(iter(found))]
        if weights.nbytes > MAX_BYTES:
            raise InvalidDataset(f"The layer has more than {MAX_BYTES // 2**30} GiB.")
        names = _vocabulary(vocabulary, len(weights)) if vocabulary else [str(row) for row in range(len(weights))]
        for start in range(0, len(weights), CHUNK):
            for row, vector in enumerate(weights[start : start + CHUNK], start):
                if names[row]:
                    yield Row(row + 1, names[row], np.asarray(vector, dtype=np.float32))


@contextmanager
def _weights(path: Path) -> Iterator[Any]:
    """The HDF5 file with a model's weights."""
    try:
        import h5py
    except ImportError as error:
        raise InvalidDataset("Keras models need the package h5py: pip install h5py.") from error

    try:
        if path.name.lower().endswith(".keras"):
            with zipfile.ZipFile(path) as archive:
                entry = archive.getinfo("model.weights.h5")
                if entry.file_size > MAX_BYTES:
                    raise InvalidDataset(f"{path.name} unpacks to more than {MAX_BYTES // 2**30} GiB.")
                source: Any = BytesIO(archive.read(entry))
        else:
            source = path
        with h5py.File(source, "r") as file:
            yield file
    except OSError as error:
        raise InvalidDataset(f"{path.name} is no Keras model that can be read: {error}") from error


def _embeddings(file: Any) -> Mapping[str, Any]:
    """By the layer's name, the weights (N, D) of each Embedding layer, in the model's own order of names.

    Keras 3 keeps a layer's variables under .../CLASS_N/vars, whose attribute `name` is the layer's name. Links to other
    files are not followed.
    """
    import h5py

    found: dict[str, Any] = {}

    def visit(path: str, node: Any) -> None:
        parts = path.split("/")
        if not isinstance(node, h5py.Group) or parts[-1] != "vars" or len(parts) < 2:
            return
        if (
            parts[-2].rstrip("0123456789").rstrip("_") == "embedding"
            and "0" in node
            and not node.get("0", getlink=True).__class__.__name__.startswith("External")
        ):
            weights = node["0"]
            if weights.ndim == 2 and weights.dtype.kind == "f":
                name = node.attrs.get("name", parts[-2])
                found[name.decode() if isinstance(name, bytes) else str(name)] = weights

    file.visititems(visit)
    return found


def _vocabulary(path: Path, rows: int) -> Sequence[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        names = [line.strip() for line in islice(file, rows + 1)]
    if len(names) != rows:
        there = f"more than {rows:,}" if len(names) > rows else f"{len(names):,}"
        raise InvalidDataset(f"{path.name} has {there} lines, and the layer {rows:,} rows; there must be one for each.")
    return names


def _named(there: Sequence[str], known: Sequence[str], path: Path) -> str:
    for name in known:
        if name in there:
            return name
    raise InvalidDataset(
        f"{path.name} has none of {', '.join(known)}; it has {', '.join(map(str, there)) or 'nothing'}."
    )


def _id(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def _vector(cell: Any) -> NDArray[np.float32] | str:
    if cell is None:
        return "it has no vector"
    try:
        vector = np.asarray(cell, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        return "its vector is not made of numbers"
    return vector if vector.ndim == 1 else "its vector is not a row of numbers"
