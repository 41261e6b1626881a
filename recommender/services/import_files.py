"""Files of rows, read a chunk at a time so that memory stays bounded: CSV, JSON lines (both also .gz) and Parquet."""

import codecs
import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from recommender.engine.errors import InvalidDataset
from recommender.services.texts import storable

CHUNK_ROWS = 5_000  # rows of one chunk, written in one transaction: about 5 MB of objects, well under a second
SHOWN = 200  # characters of a row that is no row, to find it by
BLOCK = 1 << 20  # bytes read at once where a file is only looked through
DELIMITERS = ",;\t|"
CSV, JSON_LINES, PARQUET = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson", ".json"), (".parquet", ".pq")


@dataclass
class Broken:
    """A row that is no row: its place in the file (from 1), why, and the start of its text."""

    row: int
    reason: str
    text: str


@dataclass
class Chunk:
    """Rows that follow each other. `frame` is indexed by place in the file, from 1, and holds values as they came."""

    frame: pd.DataFrame
    broken: list[Broken] = field(default_factory=list)
    done: int = 0
    """How far into the file this chunk reaches, in the file's unit."""

    @property
    def rows(self) -> int:
        return len(self.frame) + len(self.broken)


class TableFile(Protocol):
    columns: list[str]
    total: int
    unit: str

    def chunks(self, skip: int = 0) -> Iterator[Chunk]:
        """The rows after the first `skip`, in chunks of CHUNK_ROWS."""
        ...


def open_table(path: Path) -> TableFile:
    """The file's reader, by its ending. Raises InvalidDataset, with the reason, for anything that cannot be read."""
    if path.is_dir():
        raise InvalidDataset(f"{path} is a folder; name one file.")
    if not path.is_file():
        raise InvalidDataset(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise InvalidDataset(f"{path} is empty.")
    ending = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if ending in CSV:
        return CsvFile(path)
    if ending in JSON_LINES:
        return JsonLinesFile(path)
    if ending in PARQUET and path.suffix.lower() != ".gz":
        return ParquetFile(path)
    raise InvalidDataset(f"{path.name}: use a file .csv, .tsv, .jsonl (each also .gz) or .parquet.")


def fingerprint(path: Path) -> str:
    """The SHA-256 of the file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class CsvFile:
    """Comma, semicolon, tab or bar between fields, which the header line shows; UTF-8, UTF-16 or Windows-1252."""

    unit = "B"

    def __init__(self, path: Path) -> None:
        self.path, self.total, self.encoding = path, path.stat().st_size, _encoding(path)
        with _text(path, self.encoding) as (text, _):
            header = next((line for line in text if line.strip()), "")
        if not header:
            raise InvalidDataset(f"{path} has no header line.")
        self.delimiter = max(DELIMITERS, key=header.count)
        names = next(csv.reader([header], delimiter=self.delimiter))
        self.columns = [name.strip() or f"column {place}" for place, name in enumerate(names, 1)]
        if twice := sorted({name for name in self.columns if self.columns.count(name) > 1}):
            raise InvalidDataset(f"{path.name} names a column twice: {', '.join(twice)}.")

    def chunks(self, skip: int = 0) -> Iterator[Chunk]:
        with _text(self.path, self.encoding) as (text, tell):
            numbered = enumerate(self._rows(text), 1)
            for _ in islice(numbered, skip):
                pass
            while batch := list(islice(numbered, CHUNK_ROWS)):
                good = [(row, cells) for row, cells in batch if isinstance(cells, list)]
                yield Chunk(
                    pd.DataFrame([cells for _, cells in good], [row for row, _ in good], self.columns, dtype=object),
                    [Broken(row, *cells) for row, cells in batch if isinstance(cells, tuple)],
                    tell(),
                )

    def _rows(self, text: io.TextIOBase) -> Iterator[list[str] | tuple[str, str]]:
        """The cells of each row, or (reason, text) where they do not fit the header. Blank lines are no rows."""
        reader, width = csv.reader(text, delimiter=self.delimiter), len(self.columns)
        header_seen = False
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"not a CSV line ({error}): close its quotes", ""
                continue
            if not any(cells):
                continue
            if not header_seen:
                header_seen = True
            elif len(cells) < width or any(cells[width:]):
                reason = "a different number of fields than the header: put quotes around fields with a delimiter"
                yield reason, self.delimiter.join(cells)[:SHOWN]
            else:
                yield cells[:width]


class JsonLinesFile:
    """One JSON object per line."""

    unit = "B"

    def __init__(self, path: Path) -> None:
        self.path, self.total, self.encoding = path, path.stat().st_size, _encoding(path)
        names: dict[str, None] = {}
        # Every line is looked at: a field such as a rating's value may first appear late.
        with _text(path, self.encoding) as (text, _):
            for line in text:
                if isinstance(value := _parse_line(line), dict):
                    names.update(dict.fromkeys(value))
        if not names:
            raise InvalidDataset(f"{path.name} is not JSON lines: write one object {{...}} per line, without an array.")
        self.columns = list(names)

    def chunks(self, skip: int = 0) -> Iterator[Chunk]:
        with _text(self.path, self.encoding) as (text, tell):
            numbered = enumerate((line for line in text if line.strip()), 1)
            for _ in islice(numbered, skip):
                pass
            while batch := list(islice(numbered, CHUNK_ROWS)):
                good: dict[int, dict[str, Any]] = {}
                broken: list[Broken] = []
                for row, line in batch:
                    value = _parse_line(line)
                    if isinstance(value, dict):
                        good[row] = value
                    else:
                        broken.append(Broken(row, value, line.strip()[:SHOWN]))
                names = list(dict.fromkeys(name for value in good.values() for name in value))
                cells = [[value.get(name) for name in names] for value in good.values()]
                yield Chunk(pd.DataFrame(cells, list(good), names, dtype=object), broken, tell())


class ParquetFile:
    unit = "row"

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise InvalidDataset(f"{path.name} is not a Parquet file: {error}") from error
        self.path, self.columns = path, list(self._file.schema_arrow.names)
        self.total = int(self._file.metadata.num_rows)

    def chunks(self, skip: int = 0) -> Iterator[Chunk]:
        import pyarrow as pa

        done = 0
        try:
            for batch in self._file.iter_batches(CHUNK_ROWS):
                start, done = done, done + batch.num_rows
                if done <= skip:
                    continue
                # Objects, so that a missing value does not turn whole numbers into floats; without pandas' own
                # metadata, which would make a column that was an index one again.
                frame = batch.to_pandas(integer_object_nulls=True, ignore_metadata=True)
                frame.index = pd.RangeIndex(start + 1, done + 1)
                yield Chunk(frame[max(skip - start, 0) :], [], done)
        except (pa.ArrowException, OSError) as error:
            raise InvalidDataset(f"{self.path.name} is damaged after row {done:,}: {error}") from error


def as_text(column: pd.Series) -> pd.Series:
    """A column's values as stripped texts without NUL, "" where there is none; the whole number 5.0 is "5"."""
    return pd.Series([_as_text(value) for value in column], index=column.index, dtype="str")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\x00", "").strip()  # PostgreSQL holds no NUL
    if isinstance(value, dict | list | np.ndarray):
        return json.dumps(value, default=str)
    if pd.isna(value):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _parse_line(line: str) -> dict[str, Any] | str:
    """The line's object, or the reason why there is none."""
    try:
        value = json.loads(line)
        odd = "\\u" in line and not storable(value)  # in JSON such characters are only found escaped
    except (ValueError, RecursionError):
        return "not valid JSON: each line is one object"
    if not isinstance(value, dict):
        return "not a JSON object: each line is one {...}"
    if odd:
        return "a character that cannot be stored (NUL or half of a surrogate pair): remove it"
    return value


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[tuple[io.TextIOWrapper, Callable[[], int]]]:
    """The open text and a function that tells how many bytes of the file have been read."""
    with (
        path.open("rb", buffering=0) as raw,
        _unpacked(path, raw) as binary,
        io.TextIOWrapper(binary, encoding=encoding, newline="") as text,
    ):
        yield text, raw.tell


def _unpacked(path: Path, raw: io.FileIO) -> gzip.GzipFile | io.BufferedReader:
    return gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else io.BufferedReader(raw)


def _encoding(path: Path) -> str:
    """Reads the file through once. Raises InvalidDataset when it is no text in an encoding that can be told."""
    try:
        with path.open("rb", buffering=0) as raw, _unpacked(path, raw) as binary:
            wide = binary.peek(2).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            names = ("utf-16",) if wide else ("utf-8-sig", "cp1252")
            tries = {name: codecs.getincrementaldecoder(name)() for name in names}
            block = b"begin"
            while block and tries:
                block = binary.read(BLOCK)
                if b"\x00" in block and not wide:
                    raise InvalidDataset(f"{path.name} is not a text file.")
                for name, decoder in list(tries.items()):
                    try:
                        decoder.decode(block, final=not block)
                    except UnicodeDecodeError:
                        del tries[name]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidDataset(f"{path.name} is damaged: {error}") from error
    if not tries:
        raise InvalidDataset(f"{path.name} is neither UTF-8 nor Windows-1252 text; save it as UTF-8.")
    return next(iter(tries))
