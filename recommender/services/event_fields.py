"""The fields of an event that comes from outside, each checked, with a reason for every refusal."""

import math
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from recommender.models import Event
from recommender.services import people
from recommender.services.errors import InvalidInput
from recommender.services.event_rows import EventRow

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
)
KINDS = frozenset(Event.Kind.values)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # before any web shop: a wrong unit or a zero date
CLOCK_SKEW = timedelta(minutes=10)  # how far a client's clock may run ahead
MAX_QUANTITY = 100_000  # pieces; a wholesaler buys thousands, and a number beyond this is an id or a price
MAX_POSITION = 10_000  # places on a shelf or in a list, from 1; nobody scrolls further
MAX_SESSION = Event._meta.get_field("session").max_length or 64  # characters
MAX_SHELF = Event._meta.get_field("shelf").max_length or 32  # characters


def parse(row: Any, item_ids: Collection[str], run_ids: Collection[int], now: datetime) -> EventRow:
    """The event that a mapping of FIELDS describes, not yet saved. Raises InvalidInput with the reason.

    `item_ids` are those of its batch that are in the catalogue, `run_ids` those that there are; `now` is when it came.
    """
    if not isinstance(row, Mapping):
        raise InvalidInput("An event is an object with fields.")
    for name, value in row.items():
        if name not in FIELDS:
            raise InvalidInput(f"{str(name)[:80]!r} is not a field of an event; they are {', '.join(FIELDS)}.")
        if isinstance(value, str) and not _is_unicode(value):
            raise InvalidInput(f"{name} is not valid Unicode text.")
    event_id = _uuid(row.get("event_id"))
    if event_id is None:
        raise InvalidInput("event_id must be a UUID; make one per event and repeat it when you retry.")
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidInput(f"kind must be one of {', '.join(Event.Kind.values)}.")
    item_id = row.get("item_id")
    if not isinstance(item_id, str) or item_id not in item_ids:
        raise InvalidInput(f"item_id {str(item_id)[:80]!r} is not in the catalogue; add the item first.")
    visitor_id = people.client_visitor_id(row.get("user_id"), row.get("session_id"))
    run_id, rec_id = row.get("run_id"), _uuid(row.get("rec_id"))
    if run_id is not None and (isinstance(run_id, bool) or not isinstance(run_id, int)):
        raise InvalidInput("run_id must be a whole number as an answer gave it.")
    if rec_id is None and row.get("rec_id") is not None:
        raise InvalidInput("rec_id must be a UUID as an answer gave it.")
    return EventRow(
        event_id=event_id,
        kind=kind,
        visitor_id=visitor_id,
        item_id=item_id,
        value=_value(kind, row.get("value")),
        occurred_at=_moment(row.get("occurred_at"), now),
        received_at=now,
        session=_short(row, "session", MAX_SESSION),
        rec_id=rec_id,
        run_id=run_id if run_id in run_ids else None,  # a run that was deleted since is no fault of the event
        shelf=_short(row, "shelf", MAX_SHELF),
        position=_position(row.get("position")),
    )


def called(row: Any) -> str | None:
    """What a refused row called itself, if that can be repeated in an answer."""
    event_id = row.get("event_id") if isinstance(row, Mapping) else None
    return event_id if isinstance(event_id, str) and len(event_id) <= 64 and _is_unicode(event_id) else None


def _value(kind: str, value: Any) -> float | None:
    """The value an event of this kind may carry."""
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


def _moment(value: Any, now: datetime) -> datetime:
    """ISO 8601 with a zone, Unix seconds, or nothing for now; a clock a little ahead is set back to now."""
    if value is None:
        return now
    moment: datetime | None
    if isinstance(value, datetime):
        moment = value
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
    if not isinstance(value, str) or len(value) > limit or "\x00" in value:  # which PostgreSQL does not store
        raise InvalidInput(f"{name} must be a text of at most {limit} characters.")
    return value


def _uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _is_unicode(value: str) -> bool:
    """False for half of a surrogate pair, which JSON can escape."""
    if value.isascii():  # which costs nothing, and nearly all is
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
