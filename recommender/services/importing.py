"""What every import shares: one transaction per chunk, a checkpoint after it, rejected rows in a file, and a report.

Inserts are idempotent by themselves (event ids are derived from the rows), so the checkpoint only saves time: a lost
one costs a second reading and doubles nothing.
"""

import csv
import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from recommender.engine.data.cleaning import CleaningReport
from recommender.services.errors import InvalidInput
from recommender.services.import_files import Chunk, TableFile, as_text, fingerprint

# Event ids of imported rows are made in this namespace. Changing it would double every row that is imported again.
NAMESPACE = uuid.UUID("6d3f8a52-0c5e-4b0a-9d0e-5f6a2b7c9e11")

Progress = Callable[[str, int, int, str], None]
"""Called with (stage, done, total, unit) as an import goes on."""
Stop = Callable[[], bool]
"""True once the import should end after the chunk that it is in."""


@dataclass
class Written:
    """Rows of one table: made now, changed now, and already there."""

    new: int = 0
    changed: int = 0
    known: int = 0

    def add(self, new: int = 0, changed: int = 0, known: int = 0) -> None:
        self.new, self.changed, self.known = self.new + new, self.changed + changed, self.known + known


@dataclass
class State:
    """How far an import has come; what the checkpoint holds."""

    started_at: str = field(default_factory=lambda: timezone.now().isoformat())
    rows: int = 0
    """Rows that are committed, counted from the start of the file."""
    last: str = ""
    """Key of the last thing written: when it is gone from the database, the checkpoint speaks of another one."""
    rejected_bytes: int = 0
    report: CleaningReport = field(default_factory=CleaningReport)
    written: dict[str, Written] = field(default_factory=dict)

    def wrote(self, table: str) -> Written:
        return self.written.setdefault(table, Written())


@dataclass
class ImportResult:
    report: CleaningReport
    written: dict[str, Written]
    rejected: Path | None
    """The file of rejected rows; None when every row was kept."""
    complete: bool = True
    """False when it was stopped; the same import then goes on where it stopped."""
    resumed_after: int = 0
    """Rows that an earlier, stopped run had committed."""
    rows_done: int = 0

    def table(self) -> str:
        lines = [self.report.table(), ""]
        width = max(map(len, self.written), default=0)
        for name, count in self.written.items():
            changed = f"{count.changed:>11,} changed" if count.changed else ""
            lines.append(f"{name:<{width}}  {count.new:>11,} new{changed}{count.known:>11,} already there")
        return "\n".join(lines).rstrip()


class Reasons:
    """Why each row of a chunk is refused. The first reason that is found for a row stands."""

    def __init__(self, index: pd.Index) -> None:
        self.column = pd.Series("", index=index, dtype="object")
        """A text for each row, "" where nothing speaks against it."""

    def refuse(self, mask: pd.Series, reason: str) -> None:
        self.column[mask & (self.column == "")] = reason


@dataclass
class Outcome:
    """What became of one chunk's rows: a reason for each that was refused, "" for each that was kept."""

    reasons: pd.Series
    last: str = ""
    """Key of the last row that was written, if any was."""


class Checkpoint:
    """A small JSON file under var/imports, one for each file, set of options and database."""

    def __init__(self, command: str, source: Path, options: Mapping[str, Any]) -> None:
        database = [str(connection.settings_dict.get(name)) for name in ("ENGINE", "NAME", "HOST", "PORT")]
        identity = json.dumps([command, fingerprint(source), options, database], sort_keys=True, default=str)
        self.path = imports_dir() / f"{command}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"

    def load(self) -> State | None:
        """What was saved, or None: a missing or damaged checkpoint means to begin at the first row."""
        try:
            saved = json.loads(self.path.read_text())
            saved["report"] = CleaningReport(**saved["report"])
            saved["written"] = {name: Written(**count) for name, count in saved["written"].items()}
            return State(**saved)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def save(self, state: State) -> None:
        aside = self.path.with_suffix(".tmp")
        aside.write_text(json.dumps(asdict(state)))
        aside.replace(self.path)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)


class RejectedRows:
    """The CSV of rejected rows: row, reason, then the row's own columns. It is made when the first row is refused."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self._columns = path, list(columns)

    def restart(self, keep_bytes: int = 0) -> None:
        """Forget what an earlier run wrote, or what it wrote after its last checkpoint. Raises InvalidInput."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if keep_bytes:
                os.truncate(self.path, keep_bytes)
            else:
                self.path.unlink(missing_ok=True)
                with self.path.open("xb"):
                    pass
        except OSError as error:
            raise InvalidInput(f"The rejected rows cannot be written to {self.path}: {error.strerror}.") from error

    def holds(self, size: int) -> bool:
        return size == 0 or (self.path.is_file() and self.path.stat().st_size >= size)

    def write(self, rows: Iterable[Sequence[object]]) -> int:
        """Append rows and return the file's size in bytes."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        size = self.path.stat().st_size
        if not size:
            writer.writerow(["row", "reason", *self._columns])
        writer.writerows(rows)
        data = text.getvalue().encode()
        with self.path.open("ab") as file:
            file.write(data)
        return size + len(data)

    def finish(self) -> Path | None:
        if self.path.stat().st_size:
            return self.path
        self.path.unlink()
        return None


def imports_dir() -> Path:
    folder = Path(settings.VAR_DIR) / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def rejected_path(given: Path | None, source: Path, name: str) -> Path:
    """Where rejected rows go: as given, or var/imports/<name>-rejected.csv.

    Raises InvalidInput for the source itself and for a folder.
    """
    path = given or imports_dir() / f"{name.replace('.', '-')}-rejected.csv"
    if path.resolve() == source.resolve():
        raise InvalidInput("The rejected rows cannot go into the file that is read; name another one.")
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file for the rejected rows.")
    return path


def columns_of(
    named: Mapping[str, str], there: Sequence[str], fields: Sequence[str], required: Sequence[str]
) -> dict[str, str]:
    """The file's column for each field: as `named`, or the one that bears the field's own name.

    Raises InvalidInput, with the columns that are `there`, where one is missing or a name is none of `fields`.
    """
    if strange := sorted(set(named) - set(fields)):
        raise InvalidInput(f"--map: there is no field {', '.join(strange)}; the fields are {', '.join(fields)}.")
    found = {name: name for name in fields if name in there} | dict(named)
    missing = [f"{name}={column}" for name, column in found.items() if column not in there]
    missing += [name for name in required if name not in found]
    if missing:
        raise InvalidInput(f"No column for {', '.join(missing)}; the file has {', '.join(there)}. Use --map.")
    return found


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The frame's rows as named tuples; Any, because pandas' types let each cell be anything."""
    yield from frame.itertuples()


def import_table(
    table: TableFile,
    write: Callable[[pd.DataFrame, State], Outcome],
    *,
    checkpoint: Checkpoint,
    rejected: RejectedRows,
    columns: Sequence[str],
    is_written: Callable[[str], bool],
    stage: str,
    dry_run: bool,
    progress: Progress,
    stop: Stop,
) -> ImportResult:
    """Read a file chunk by chunk and hand each to `write`, inside one transaction.

    `columns` are the file's columns that a rejected row is given with; `is_written(key)` tells whether what the
    checkpoint calls the last written thing is in the database. A dry run starts at the first row and saves nothing.
    Raises InvalidInput when there are no rows, InvalidDataset where the file turns out to be damaged.
    """
    state = None if dry_run else checkpoint.load()
    if state is None or not rejected.holds(state.rejected_bytes) or (state.last and not is_written(state.last)):
        state = State()
    resumed_after = state.rows
    rejected.restart(state.rejected_bytes)
    complete = True
    for chunk in table.chunks(state.rows):
        if stop():
            complete = False
            break
        with transaction.atomic():
            outcome = write(chunk.frame, state)
        _account(state, chunk, outcome, rejected, columns)
        if not dry_run:
            checkpoint.save(state)
        progress(stage, chunk.done, table.total, table.unit)
    if not state.rows and complete:
        rejected.finish()
        raise InvalidInput("The file has no rows below its header.")
    if complete:
        checkpoint.clear()
    return ImportResult(state.report, state.written, rejected.finish(), complete, resumed_after, state.rows)


def _account(state: State, chunk: Chunk, outcome: Outcome, rejected: RejectedRows, columns: Sequence[str]) -> None:
    """Count a chunk that is committed, and write down its refused rows."""
    refused = outcome.reasons[outcome.reasons != ""]
    state.rows += chunk.rows
    state.report.read += chunk.rows
    state.report.kept += len(outcome.reasons) - len(refused)
    state.last = outcome.last or state.last
    for cause, count in refused.value_counts(sort=False).items():
        state.report.drop(str(cause), count)
    for broken in chunk.broken:
        state.report.drop(broken.reason, 1)
    rows: list[Sequence[object]] = [
        (broken.row, broken.reason, *[""] * len(columns), broken.text) for broken in chunk.broken
    ]
    if len(refused):
        frame = chunk.frame.loc[refused.index]
        blank = pd.Series("", index=frame.index)
        cells = [as_text(frame[name]) if name in frame else blank for name in columns]
        rows += zip(refused.index, refused, *cells, blank, strict=True)
    if rows:
        state.rejected_bytes = rejected.write(rows)
