"""Recording what visitors do: validated, idempotent by event id, and never losing the good rows of a bad batch."""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from recommender.models import Event, Item, Run, Visitor
from recommender.models.ids import validate_external_id
from recommender.services import people
from recommender.services.errors import InvalidInput

MAX_BATCH = 1000  # events of one batch; about 250 kB of JSON
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # before any web shop: a wrong unit or a zero date
CLOCK_SKEW = timedelta(minutes=10)  # how far a client's clock may run ahead
MAX_QUANTITY = 100_000
FIELDS = (
    "event_id",
    "kind",
    "item_id",
    "user_id",
    "session_id",
    "value",
    "occurred_at",
    "session",
    "rec_id",
    "run_id",
    "shelf",
    "position",
)  # of an event that comes from outside
MAX_POSITION = 10_000
MAX_CARDS = 100  # impressions of one beacon: more than any page shows
SAME_VIEW = timedelta(seconds=30)  # a reload, a double click or a step back within this is one view
_SHELF = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True)
class Source:
    """Where the visitor found the item: the recommendation that an event answers."""

    rec_id: uuid.UUID | None = None
    run_id: int | None = None
    shelf: str = ""
    position: int | None = None


@dataclass
class BatchResult:
    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """One {index, event_id, reason} for each event that was not kept."""


def record(
    visitor: Visitor,
    item: Item,
    kind: str,
    *,
    value: float | None = None,
    session: str = "",
    source: Source = Source(),
    event_id: uuid.UUID | None = None,
    occurred_at: datetime | None = None,
) -> bool:
    """Record one event of the shop itself. False when `event_id` was already there."""
    now = timezone.now()
    event = Event(
        event_id=event_id or uuid.uuid4(),
        kind=kind,
        visitor=visitor,
        item=item,
        value=value,
        occurred_at=occurred_at or now,
        received_at=now,
        session=session,
        rec_id=source.rec_id,
        run_id=source.run_id,
        shelf=source.shelf,
        position=source.position,
    )
    return _insert([event]) == 1


def source(rec: Any = None, run: Any = None, shelf: Any = None, at: Any = None) -> Source:
    """What a link or a beacon says about where it was found; whatever is not well-formed is left out, never refused."""
    try:
        rec_id = uuid.UUID(str(rec))
    except ValueError:
        rec_id = None
    run_id = _small_number(run, 2**63 - 1)
    if run_id and not Run.objects.filter(pk=run_id).exists():
        run_id = None
    name = shelf if isinstance(shelf, str) and _SHELF.fullmatch(shelf) else ""
    return Source(rec_id, run_id, name, _small_number(at, MAX_POSITION))


def record_view(visitor_id: str, item: Item, found: Source) -> bool:
    """Record that a visitor opened an item's page. False for the same page again within a few seconds."""
    visitor = people.ensure(visitor_id)
    again = Event.objects.filter(
        visitor=visitor, item=item, kind=Event.Kind.VIEW, occurred_at__gte=timezone.now() - SAME_VIEW
    )
    return not again.exists() and record(visitor, item, Event.Kind.VIEW, source=found)


def record_impressions(visitor_id: str, cards: Any) -> int:
    """Record which cards a page really showed; returns how many were kept.

    `cards` comes from a browser: [{item, rec, run, shelf, at}, ...]. What does not fit is dropped.
    """
    cards = [card for card in cards if isinstance(card, Mapping)][:MAX_CARDS] if isinstance(cards, list) else []
    known = set(Item.objects.filter(active=True, id__in=_texts(cards, "item")).values_list("id", flat=True))
    cards = [card for card in cards if isinstance(card.get("item"), str) and card["item"] in known]
    if not cards:
        return 0
    visitor, now = people.ensure(visitor_id), timezone.now()
    # A page has a handful of shelves, so their sources are looked up once each, not once for every card.
    runs: dict[str, Source] = {}
    rows = []
    for card in cards:
        run = str(card.get("run"))
        if run not in runs:
            runs[run] = source(run=run)
        found = source(rec=card.get("rec"), shelf=card.get("shelf"), at=card.get("at"))
        rows.append(
            Event(
                kind=Event.Kind.IMPRESSION,
                visitor=visitor,
                item_id=card["item"],
                occurred_at=now,
                received_at=now,
                rec_id=found.rec_id,
                run_id=runs[run].run_id,
                shelf=found.shelf,
                position=found.position,
            )
        )
    return _insert(rows)


def opinion(visitor_id: str, item_id: str) -> str:
    """The visitor's latest like or dislike of an item, or nothing."""
    chosen = Event.objects.filter(
        visitor_id=visitor_id, item_id=item_id, kind__in=(Event.Kind.LIKE, Event.Kind.DISLIKE)
    )
    return chosen.order_by("-occurred_at", "-id").values_list("kind", flat=True).first() or ""


def history_of(visitor_id: str) -> QuerySet[Event]:
    """What a visitor did, the latest first, without what pages merely showed."""
    mine = Event.objects.filter(visitor_id=visitor_id).exclude(kind=Event.Kind.IMPRESSION)
    return mine.select_related("item").order_by("-occurred_at", "-id")


def record_batch(rows: Sequence[Mapping[str, Any]]) -> BatchResult:
    """Record events that came from outside, given as mappings with the API's field names.

    Each row: event_id (UUID), kind, item_id, user_id or session_id; optional value, occurred_at (ISO 8601 with zone,
    or Unix seconds), session, rec_id, run_id, shelf, position. A bad row is reported with its reason, the rest is kept.
    Raises InvalidInput when there are more than MAX_BATCH rows.
    """
    if len(rows) > MAX_BATCH:
        raise InvalidInput(f"A batch holds at most {MAX_BATCH} events; this one has {len(rows)}. Split it.")
    result = BatchResult()
    now = timezone.now()
    items = set(Item.objects.filter(id__in=_texts(rows, "item_id")).values_list("id", flat=True))
    runs = set(Run.objects.filter(id__in=_whole_numbers(rows, "run_id")).values_list("id", flat=True))
    parsed: dict[uuid.UUID, Event] = {}
    for index, row in enumerate(rows):
        try:
            event = _parse(row, items, runs, now)
        except InvalidInput as error:
            result.rejected.append({"index": index, "event_id": _named(row), "reason": error.detail})
            continue
        if event.event_id in parsed:
            result.duplicates += 1
        else:
            parsed[event.event_id] = event
    if parsed:
        with transaction.atomic():
            _make_visitors({event.visitor_id for event in parsed.values()})
            result.accepted = _insert(list(parsed.values()))
        result.duplicates += len(parsed) - result.accepted
    return result


def _parse(row: Any, items: set[str], runs: set[int], now: datetime) -> Event:
    if not isinstance(row, Mapping):
        raise InvalidInput("An event is an object with fields.")
    for name, value in row.items():
        if name not in FIELDS:
            raise InvalidInput(f"{str(name)[:80]!r} is not a field of an event; they are {', '.join(FIELDS)}.")
        if isinstance(value, str) and not _is_text(value):
            raise InvalidInput(f"{name} is not valid Unicode text.")
    event_id = _uuid(row.get("event_id"))
    if event_id is None:
        raise InvalidInput("event_id must be a UUID; make one per event and repeat it when you retry.")
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in Event.Kind.values:
        raise InvalidInput(f"kind must be one of {', '.join(Event.Kind.values)}.")
    item_id = row.get("item_id")
    if not isinstance(item_id, str) or item_id not in items:
        raise InvalidInput(f"item_id {str(item_id)[:80]!r} is not in the catalogue; add the item first.")
    visitor_id = people.client_visitor_id(row.get("user_id"), row.get("session_id"))
    run_id, rec_id = row.get("run_id"), _uuid(row.get("rec_id"))
    if run_id is not None and (isinstance(run_id, bool) or not isinstance(run_id, int)):
        raise InvalidInput("run_id must be a whole number as an answer gave it.")
    if rec_id is None and row.get("rec_id") is not None:
        raise InvalidInput("rec_id must be a UUID as an answer gave it.")
    return Event(
        event_id=event_id,
        kind=kind,
        visitor_id=visitor_id,
        item_id=item_id,
        value=parse_value(kind, row.get("value")),
        occurred_at=parse_time(row.get("occurred_at"), now),
        received_at=now,
        session=_short(row, "session", 64),
        rec_id=rec_id,
        run_id=run_id if run_id in runs else None,  # a run that was deleted since is no fault of the event
        shelf=_short(row, "shelf", 32),
        position=_position(row.get("position")),
    )


def parse_value(kind: str, value: Any) -> float | None:
    """The value an event of this kind may carry. Raises InvalidInput."""
    if value is None:
        if kind == Event.Kind.RATING:
            raise InvalidInput("value: a rating needs its stars, 1 to 5.")
        return None
    if not _is_finite(value):
        raise InvalidInput("value must be a finite number.")
    if kind == Event.Kind.RATING and not 1 <= value <= 5:
        raise InvalidInput("value: a rating's stars are 1 to 5.")
    if kind in (Event.Kind.PURCHASE, Event.Kind.CART) and not 0 < value <= MAX_QUANTITY:
        raise InvalidInput(f"value: a quantity is above 0 and at most {MAX_QUANTITY:,}.")
    return float(value)


def parse_time(value: Any, now: datetime) -> datetime:
    """ISO 8601 with a zone, Unix seconds, or nothing for now. Raises InvalidInput for the future and before 1990."""
    if value is None:
        return now
    if isinstance(value, datetime):
        moment: datetime | None = value
    elif _is_finite(value):
        try:
            moment = datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            moment = None
    else:
        try:
            moment = parse_datetime(str(value))
        except ValueError:
            moment = None
    if moment is None:
        raise InvalidInput("occurred_at must be ISO 8601 such as 2026-05-04T12:30:00Z, or Unix seconds.")
    if moment.tzinfo is None:
        raise InvalidInput("occurred_at needs a time zone, such as Z or +01:00.")
    if moment > now + CLOCK_SKEW:
        raise InvalidInput("occurred_at lies in the future; check the client's clock and unit (seconds).")
    if moment < EARLIEST:
        raise InvalidInput("occurred_at lies before 1990; check the unit (seconds).")
    return min(moment, now)


def _small_number(value: Any, largest: int) -> int | None:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    return int(text) if 1 <= int(text) <= largest else None


def _position(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_POSITION:
        raise InvalidInput(f"position must be a whole number from 1 to {MAX_POSITION}.")
    return value


def _short(row: Mapping[str, Any], name: str, limit: int) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or "\x00" in value:
        raise InvalidInput(f"{name} must be a text of at most {limit} characters.")
    return value


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _named(row: Any) -> str | None:
    """What a refused row called itself, if that can be repeated in an answer."""
    event_id = row.get("event_id") if isinstance(row, Mapping) else None
    return event_id if isinstance(event_id, str) and len(event_id) <= 64 and _is_text(event_id) else None


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _is_text(value: str) -> bool:
    """JSON can escape half of a surrogate pair, which no database stores."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(rows: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    return {row[name] for row in rows if isinstance(row, Mapping) and _is_external_id(row.get(name))}


def _whole_numbers(rows: Sequence[Mapping[str, Any]], name: str) -> set[int]:
    found = [row.get(name) for row in rows if isinstance(row, Mapping)]
    return {value for value in found if isinstance(value, int) and 0 < value < 2**63}


def _is_external_id(value: Any) -> bool:
    try:
        validate_external_id(value)
    except (ValidationError, TypeError):
        return False
    return _is_text(value)


def _make_visitors(visitor_ids: set[str]) -> None:
    known = set(Visitor.objects.filter(id__in=visitor_ids).values_list("id", flat=True))
    Visitor.objects.bulk_create(
        [Visitor(id=visitor_id, kind=people.kind_of(visitor_id)) for visitor_id in sorted(visitor_ids - known)],
        ignore_conflicts=True,
    )


@transaction.atomic
def _insert(events: list[Event]) -> int:
    """Insert what is new, under the account where a guest has become one; returns how many were new.

    The visitors are locked first, in one order everywhere: a retry that overtakes its first attempt waits here and
    then finds those events, and a guest who logs in at this moment takes all of them along.
    """
    visitors = Visitor.objects.select_for_update(no_key=True).filter(id__in={event.visitor_id for event in events})
    owners = dict(visitors.order_by("id").values_list("id", "merged_into_id"))
    for event in events:
        event.visitor_id = owners.get(event.visitor_id) or event.visitor_id
    known = set(
        Event.objects.filter(event_id__in=[event.event_id for event in events]).values_list("event_id", flat=True)
    )
    new = [event for event in events if event.event_id not in known]
    Event.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)
