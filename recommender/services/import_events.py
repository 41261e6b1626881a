"""Events from a file: each row checked, good ones kept, the others given back with a reason that helps mend them."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.utils import timezone

from recommender.models import Event, Item
from recommender.models.ids import is_external_id
from recommender.services import people
from recommender.services.errors import InvalidInput
from recommender.services.event_fields import EARLIEST, MAX_QUANTITY, MAX_SESSION
from recommender.services.import_files import as_text, open_table
from recommender.services.importing import (
    NAMESPACE,
    Checkpoint,
    ImportResult,
    Outcome,
    Progress,
    Reasons,
    RejectedRows,
    State,
    Stop,
    columns_of,
    import_table,
    rejected_path,
    rows_of,
)

FIELDS = ("user", "item", "time", "kind", "value", "session", "event_id")
REQUIRED = ("user", "item", "time")
TIME_UNITS = {"iso": 0, "s": 1_000_000, "ms": 1_000}  # microseconds of one unit
AHEAD = timedelta(days=1)  # a clock or a zone may be off by hours, not by more
UTC_MICROS = pd.DatetimeTZDtype("us", "UTC")

NO_FIELD = {name: f"no {name}: fill in the field" for name in REQUIRED}
BAD_ID = {
    name: f"{name} id not valid: 1 to 128 characters without spaces, slashes, ?, #, % or control characters"
    for name in ("user", "item")
}
UNKNOWN_ITEM = "unknown item: import the catalogue first (import_items), or pass --create-items"
UNKNOWN_KIND = f"unknown kind: use one of {', '.join(Event.Kind.values)}, or translate it with --map-kind THEIRS=OURS"
BAD_TIME = "time cannot be read: use ISO 8601 such as 2026-05-04T12:30:00Z, or pass --time-unit s or ms for numbers"
FUTURE = "time lies more than a day ahead: check --time-unit and --timezone"
ANCIENT = "time lies before 1990: check --time-unit"
BAD_VALUE = "value is not a finite number: write digits with a point, such as 4.5"
BAD_STARS = "rating outside 1 to 5: give its stars in the value field"
BAD_QUANTITY = f"quantity not above 0 and up to {MAX_QUANTITY:,}: leave out returns"
LONG_SESSION = f"session longer than {MAX_SESSION} characters"
REPEATED = "duplicate: the same event earlier in the file"


@dataclass(frozen=True)
class EventOptions:
    """How a file's rows become events."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field to the file's column; a field that is not named is looked for under its own name."""
    kind: str = ""
    """Kind of the rows that name none."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The file's word for a kind to ours."""
    create_items: bool = False
    """Make items that are not in the catalogue, with their id as title, rather than refuse their events."""
    time_unit: str = "iso"
    """Key of TIME_UNITS: ISO 8601 texts, or numbers of seconds or milliseconds since 1970."""
    timezone: str = "UTC"
    """Zone of the times that name none."""

    def resolved(self, there: list[str]) -> dict[str, str]:
        """The columns to read, by field. Raises InvalidInput where one is missing or an option is not valid."""
        found = columns_of(self.columns, there, FIELDS, REQUIRED)
        if "kind" not in found and not self.kind:
            raise InvalidInput(
                f"Say what the rows are, with --kind, or --map kind=...; the file has {', '.join(there)}."
            )
        if wrong := sorted({self.kind, *self.kinds.values()} - {"", *Event.Kind.values}):
            raise InvalidInput(f"There is no kind {', '.join(wrong)}; the kinds are {', '.join(Event.Kind.values)}.")
        if self.time_unit not in TIME_UNITS:
            raise InvalidInput(f"The time unit is one of {', '.join(TIME_UNITS)}.")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise InvalidInput(f"There is no time zone {self.timezone!r}; write it as Europe/London.") from None
        return found


def import_events(
    path: Path,
    options: EventOptions,
    *,
    rejected: Path | None = None,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
    stop: Stop = lambda: False,
) -> ImportResult:
    """Import a file's events; see importing.import_table for resuming. Raises InvalidDataset and InvalidInput.

    A row's own event_id, or else what the row says, makes its event's id: a row that is there already is kept and
    written once. In a dry run, a row repeated further away than one chunk is not seen as a duplicate.
    """
    table = open_table(path)
    columns = options.resolved(table.columns)
    writer = _EventWriter(options, columns, dry_run)
    used = list(dict.fromkeys(columns.values()))
    return import_table(
        table,
        writer.write,
        checkpoint=Checkpoint("events", path, asdict(options)),
        rejected=RejectedRows(rejected_path(rejected, path, path.name), [*used, "text"]),
        columns=used,
        is_written=lambda key: Event.objects.filter(event_id=key).exists(),
        stage="events",
        dry_run=dry_run,
        progress=progress,
        stop=stop,
    )


class _EventWriter:
    def __init__(self, options: EventOptions, columns: Mapping[str, str], dry_run: bool) -> None:
        self._options, self._columns, self._dry_run = options, columns, dry_run

    def write(self, frame: pd.DataFrame, state: State) -> Outcome:
        """Check a chunk's rows and insert the good ones that are new."""
        now, started_at = timezone.now(), datetime.fromisoformat(state.started_at)
        rows, reasons = self._checked(frame, now)
        rows["event_id"] = _event_ids(rows)
        repeated = rows["event_id"].duplicated()
        # Rows of this import carry its start as received_at, which tells a repeated row from one imported before.
        there = dict(
            Event.objects.filter(event_id__in=rows["event_id"].tolist()).values_list("event_id", "received_at")
        )
        repeated |= rows["event_id"].map(lambda key: there.get(key) == started_at)
        reasons[rows.index[repeated]] = REPEATED
        rows = rows[~repeated]
        new = rows[~rows["event_id"].isin(list(there))]
        state.wrote("items"), state.wrote("visitors")
        state.wrote("events").add(new=len(new), known=len(rows) - len(new))
        if self._dry_run or not len(new):
            return Outcome(reasons)
        if self._options.create_items:
            made = [Item(id=item, title=item) for item in sorted(set(new["item"]) - _known_items(new["item"]))]
            Item.objects.bulk_create(made, ignore_conflicts=True)
            state.wrote("items").add(new=len(made))
        visitors_made, merged = people.ensure_all(set(new["user"]))
        state.wrote("visitors").add(new=visitors_made)
        Event.objects.bulk_create(
            [
                Event(
                    event_id=row.event_id,
                    kind=row.kind,
                    visitor_id=merged.get(row.user) or row.user,
                    item_id=row.item,
                    value=None if np.isnan(row.value) else row.value,
                    occurred_at=min(row.time.to_pydatetime(), now),
                    received_at=started_at,
                    session=row.session,
                )
                for row in rows_of(new)
            ],
            ignore_conflicts=True,
        )
        return Outcome(reasons, last=str(new["event_id"].iloc[-1]))

    def _checked(self, frame: pd.DataFrame, now: datetime) -> tuple[pd.DataFrame, pd.Series]:
        """The good rows, typed, and every row's reason, "" where it is good."""
        empty = pd.Series("", index=frame.index, dtype="str")
        text = {
            name: as_text(frame[self._columns[name]]) if self._columns.get(name) in frame else empty for name in FIELDS
        }
        reasons = Reasons(frame.index)
        refuse = reasons.refuse
        for name in REQUIRED:
            refuse(text[name] == "", NO_FIELD[name])
        for name in BAD_ID:
            refuse(~text[name].isin(_valid_ids(text[name])), BAD_ID[name])
        if not self._options.create_items:
            refuse(~text["item"].isin(_known_items(text["item"])), UNKNOWN_ITEM)
        kind = text["kind"].str.lower().where(text["kind"] != "", self._options.kind)
        kind = kind.replace({theirs.lower(): ours for theirs, ours in self._options.kinds.items()})
        refuse(~kind.isin(Event.Kind.values), UNKNOWN_KIND)

        raw_time = frame.get(self._columns["time"], empty)
        time = _times(raw_time, text["time"], self._options)
        refuse(time.isna(), BAD_TIME)
        refuse(time > now + AHEAD, FUTURE)
        refuse(time < EARLIEST, ANCIENT)

        value = pd.to_numeric(text["value"].where(text["value"] != ""), errors="coerce").astype("float64")
        refuse((text["value"] != "") & ~np.isfinite(value), BAD_VALUE)
        refuse((kind == Event.Kind.RATING) & ~value.between(1, 5), BAD_STARS)
        counted = kind.isin([Event.Kind.PURCHASE, Event.Kind.CART]) & value.notna()
        refuse(counted & ~((value > 0) & (value <= MAX_QUANTITY)), BAD_QUANTITY)
        refuse(text["session"].str.len() > MAX_SESSION, LONG_SESSION)
        typed = text | {"kind": kind, "time": time, "value": value}
        return pd.DataFrame(typed)[reasons.column == ""].copy(), reasons.column


def _times(raw: pd.Series, text: pd.Series, options: EventOptions) -> pd.Series:
    """Times in UTC, NaT where they cannot be read. An hour the zone skips is moved on, a repeated one is the first."""
    if pd.api.types.is_datetime64_any_dtype(raw):
        return _in_utc(raw, options.timezone)
    if options.time_unit != "iso":
        micros = pd.to_numeric(text, errors="coerce").astype("float64") * TIME_UNITS[options.time_unit]
        readable = micros.abs() < 2**62  # beyond the year 100,000 a number is no time
        whole = micros.where(readable, 0).round().astype("int64")
        return pd.to_datetime(whole, unit="us", utc=True).astype(UTC_MICROS).where(readable)
    text = text.mask(text.str.fullmatch(r"[\d.]*"))  # a bare number says no unit
    zoned = text.str.contains(r"(?:[zZ]|[+-]\d\d:?\d\d|[+-]\d\d)$", regex=True, na=False) & text.str.contains(
        ":", na=False
    )
    times = pd.to_datetime(text.where(zoned), format="ISO8601", utc=True, errors="coerce").astype(UTC_MICROS)
    local = pd.to_datetime(text.mask(zoned), format="ISO8601", errors="coerce")
    return times.fillna(_in_utc(local, options.timezone))


def _in_utc(times: pd.Series, zone: str) -> pd.Series:
    if times.dt.tz is None:
        times = times.dt.tz_localize(zone, ambiguous=np.ones(len(times), dtype=bool), nonexistent="shift_forward")
    return times.dt.tz_convert("UTC").astype(UTC_MICROS)


def _event_ids(rows: pd.DataFrame) -> pd.Series:
    """The row's own UUID, or one made from its own event_id, or from all that the row says."""
    said = zip(rows["user"], rows["item"], rows["kind"], rows["time"].astype("int64"), rows["value"], rows["session"])  # noqa: B905  one frame
    ids = [_event_id(own, content) for own, content in zip(rows["event_id"], said, strict=True)]
    return pd.Series(ids, index=rows.index, dtype="object")


def _event_id(own: str, content: tuple[object, ...]) -> uuid.UUID:
    if own:
        try:
            return uuid.UUID(own)
        except ValueError:
            return uuid.uuid5(NAMESPACE, f"event/{own}")
    return uuid.uuid5(NAMESPACE, "row/" + "\x1f".join(map(str, content)))


def _valid_ids(column: pd.Series) -> list[str]:
    """Each distinct value is looked at once: a file repeats its few ids a thousand times."""
    return [value for value in column.unique().tolist() if is_external_id(value)]


def _known_items(column: pd.Series) -> set[str]:
    return set(Item.objects.filter(id__in=column.unique().tolist()).values_list("id", flat=True))
