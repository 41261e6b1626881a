"""Recording what visitors do: validated, idempotent by event id, and never losing the good rows of a bad batch."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from recommender.models import Event, Item, Run, Visitor
from recommender.models.ids import is_external_id
from recommender.services import controls, event_fields, event_rows, people
from recommender.services.errors import InvalidInput
from recommender.services.event_rows import EventRow
from recommender.services.screening import velocity

MAX_BATCH = 1000  # events of one batch; about 250 kB of JSON
MAX_CARDS = 100  # impressions of one beacon: more than any page shows
SAME_VIEW = timedelta(seconds=30)  # a reload, a double click or a step back within this is one view
_SHELF = re.compile(rf"[A-Za-z0-9_-]{{1,{event_fields.MAX_SHELF}}}")


@dataclass(frozen=True)
class Source:
    """Where the visitor found the item: the recommendation that an event answers."""

    rec_id: uuid.UUID | None = None
    run_id: int | None = None
    shelf: str = ""
    position: int | None = None


NO_SOURCE = Source()


@dataclass
class BatchResult:
    accepted: int = 0
    duplicates: int = 0
    not_recorded: int = 0
    """Valid ones of visitors in private mode, of whom nothing is kept."""
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """One {index, event_id, reason} for each event that was not kept."""


def record(
    visitor: Visitor,
    item: Item,
    kind: str,
    *,
    value: float | None = None,
    session: str = "",
    source: Source = NO_SOURCE,
    event_id: uuid.UUID | None = None,
    occurred_at: datetime | None = None,
    flag: str = "",
) -> bool:
    """Record one event of the shop itself. False when `event_id` was already there, or the visitor is in private mode.

    `flag` is the rule it broke.
    """
    now = timezone.now()
    event = EventRow(
        event_id=event_id or uuid.uuid4(),
        kind=str(kind),
        visitor_id=visitor.pk,
        item_id=item.pk,
        value=None if value is None else float(value),
        occurred_at=occurred_at or now,
        received_at=now,
        session=session,
        flag=flag,
        **asdict(source),
    )
    return _insert([event])[0] == 1


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
    return Source(rec_id, run_id, name, _small_number(at, event_fields.MAX_POSITION))


def record_view(visitor_id: str, item: Item, found: Source, flag: str = "") -> bool:
    """Record that a visitor opened an item's page. False for the same page again within a few seconds."""
    visitor = people.ensure(visitor_id)
    again = Event.objects.filter(
        visitor=visitor, item=item, kind=Event.Kind.VIEW, occurred_at__gte=timezone.now() - SAME_VIEW
    )
    return not again.exists() and record(visitor, item, Event.Kind.VIEW, source=found, flag=flag)


def record_impressions(visitor_id: str, cards: Any, flag: str = "") -> int:
    """Record which cards a page really showed; returns how many were kept.

    `cards` comes from a browser: [{item, rec, run, shelf, at}, ...]. What does not fit is dropped.
    """
    cards = [card for card in cards if isinstance(card, Mapping)][:MAX_CARDS] if isinstance(cards, list) else []
    known = set(Item.objects.filter(active=True, id__in=_external_ids(cards, "item")).values_list("id", flat=True))
    cards = [card for card in cards if isinstance(card.get("item"), str) and card["item"] in known]
    if not cards:
        return 0
    visitor, now = people.ensure(visitor_id), timezone.now()
    # A page has a handful of shelves, so their sources are looked up once each, not once for every card.
    runs: dict[str, Source] = {}
    shown = []
    for card in cards:
        run = str(card.get("run"))
        if run not in runs:
            runs[run] = source(run=run)
        found = source(rec=card.get("rec"), shelf=card.get("shelf"), at=card.get("at"))
        shown.append(
            EventRow(
                event_id=uuid.uuid4(),
                kind=str(Event.Kind.IMPRESSION),
                visitor_id=visitor.pk,
                item_id=card["item"],
                value=None,
                occurred_at=now,
                received_at=now,
                flag=flag,
                **asdict(replace(found, run_id=runs[run].run_id)),
            )
        )
    return _insert(shown)[0]


def opinion(visitor_id: str, item_id: str) -> str:
    """The visitor's latest like or dislike of an item, or nothing."""
    chosen = Event.objects.filter(
        visitor_id=visitor_id, item_id=item_id, kind__in=(Event.Kind.LIKE, Event.Kind.DISLIKE)
    )
    return chosen.order_by("-occurred_at", "-id").values_list("kind", flat=True).first() or ""


def recorded(visitor_id: str) -> QuerySet[Event]:
    """Everything recorded of a visitor, the latest first."""
    return Event.objects.filter(visitor_id=visitor_id).select_related("item").order_by("-occurred_at", "-id")


def history_of(visitor_id: str) -> QuerySet[Event]:
    """What a visitor did, the latest first, without what pages merely showed."""
    return recorded(visitor_id).exclude(kind=Event.Kind.IMPRESSION)


def record_batch(rows: Sequence[Mapping[str, Any]]) -> BatchResult:
    """Record events that came from outside, given as mappings with the API's field names.

    Each row: event_id (UUID), kind, item_id, user_id or session_id; optional value, occurred_at (ISO 8601 with zone,
    or Unix seconds), session, rec_id, run_id, shelf, position. A bad row is reported with its reason, the rest is kept.
    Raises InvalidInput when there are more than MAX_BATCH rows.
    """
    if len(rows) > MAX_BATCH:
        raise InvalidInput(f"A batch holds at most {MAX_BATCH} events; this one has {len(rows)}. Split it.")
    result, now = BatchResult(), timezone.now()
    item_ids = set(Item.objects.filter(id__in=_external_ids(rows, "item_id")).values_list("id", flat=True))
    told = _whole_numbers(rows, "run_id")
    run_ids = set(Run.objects.filter(id__in=told).values_list("id", flat=True)) if told else ()
    parsed: dict[uuid.UUID, EventRow] = {}
    for index, row in enumerate(rows):
        try:
            event = event_fields.parse(row, item_ids, run_ids, now)
        except InvalidInput as error:
            result.rejected.append({"index": index, "event_id": event_fields.called(row), "reason": error.detail})
            continue
        if event.event_id in parsed:
            result.duplicates += 1
        else:
            parsed[event.event_id] = event
    velocity.posted(parsed.values())
    if parsed:
        with event_rows.turn(), transaction.atomic():
            people.ensure_all({event.visitor_id for event in parsed.values()})
            result.accepted, result.not_recorded = _insert(list(parsed.values()))
        result.duplicates += len(parsed) - result.accepted - result.not_recorded
    return result


def _small_number(value: Any, largest: int) -> int | None:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    return int(text) if 1 <= int(text) <= largest else None


def _external_ids(rows: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    return {row[name] for row in rows if isinstance(row, Mapping) and is_external_id(row.get(name))}


def _whole_numbers(rows: Sequence[Mapping[str, Any]], name: str) -> set[int]:
    found = [row.get(name) for row in rows if isinstance(row, Mapping)]
    return {value for value in found if isinstance(value, int) and 0 < value < 2**63}


@transaction.atomic
def _insert(rows: Sequence[EventRow]) -> tuple[int, int]:
    """Insert what is new, under the account where a guest has become one, and nothing of visitors in private mode.

    Returns how many were inserted, and how many were left out for privacy.

    The visitors are locked first, in one order everywhere: a retry that overtakes its first attempt waits here and
    then finds those events, and a guest who logs in at this moment takes all of them along.
    """
    visitors = Visitor.objects.select_for_update(no_key=True).filter(id__in={row.visitor_id for row in rows})
    owners = dict(visitors.order_by("id").values_list("id", "merged_into_id"))
    for row in rows:
        row.visitor_id = owners.get(row.visitor_id) or row.visitor_id
    private = controls.private_among({row.visitor_id for row in rows})
    kept = [row for row in rows if row.visitor_id not in private] if private else rows
    return event_rows.insert(kept), len(rows) - len(kept)
