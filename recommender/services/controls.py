"""What visitors decide about their own recommendations: topics, reasons, reset, privacy; each change can be undone.

Nothing here learns. A wish is kept in the visitor's Control row and read with the next answer.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import Count, Max, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from numpy.typing import NDArray

from recommender.models import Answer, Category, Control, Event, Item, Visitor
from recommender.models.ids import is_external_id
from recommender.services.errors import InvalidInput
from recommender.services.texts import storable

CATEGORY, CREATOR = "category:", "creator:"  # how the two kinds of topics begin
NEVER = -1.0  # weight of a topic that is not to be shown at all
MAX_TOPICS = 200  # of one visitor; each is looked at for every candidate of an answer
MAX_IGNORED = 500  # items of one visitor; each goes into the query that reads the history
MAX_SHOWN = 60  # categories on one page; a shop with more shows its departments
MAX_UNDO = 20  # earlier states that are kept
VISIT_ENDS_AFTER = timedelta(minutes=30)  # a longer gap between two events begins a new visit
STATE = ("personalised", "private_since", "reset_at", "topics", "ignored")
READ = f"SELECT {', '.join(STATE)} FROM recommender_control WHERE visitor_id = %s"  # noqa: S608


@dataclass(frozen=True)
class Controls:
    """What one visitor decided; as it is for those who decided nothing."""

    personalised: bool = True
    private_since: datetime | None = None
    reset_at: datetime | None = None
    topics: Mapping[str, float] = field(default_factory=dict)
    """ "category:slug" or "creator:name" to -1 (never) ... 1 (much more); 0 is left out."""
    ignored: frozenset[str] = frozenset()
    """Items of the visitor's history that are no reason for anything any more."""

    def factor(self, category_id: str | None, parent_id: str | None, creator: str) -> float:
        """What a score is multiplied by: 0 for what is never to be shown, 1 for the usual, 2 at most.

        A category's own weight counts before its department's. Where nothing is to be personal, topics say nothing.
        """
        if not self.topics or not self.personalised:
            return 1.0
        topics = self.topics
        weight = topics.get(f"{CATEGORY}{category_id}") or topics.get(f"{CATEGORY}{parent_id}") or 0.0
        return min(2.0, (1 + weight) * (1 + topics.get(f"{CREATOR}{creator}", 0.0)))

    def factors(self, items: Sequence[Item]) -> NDArray[np.float32]:
        """(C,) `factor` of each item, which comes with its category."""
        if not self.topics or not self.personalised:
            return np.ones(len(items), dtype=np.float32)
        return np.array(
            [
                self.factor(item.category_id, item.category.parent_id if item.category else None, item.creator)
                for item in items
            ],
            dtype=np.float32,
        )


DEFAULT = Controls()


def read(visitor_id: str | None) -> Controls:
    """What this visitor decided, in one query; DEFAULT where there is no visitor or nothing was decided.

    Every answer asks this, and most visitors decided nothing: so it is SQL by hand, a fifth of what a query set costs.
    """
    if not visitor_id:
        return DEFAULT
    with connection.cursor() as cursor:
        cursor.execute(READ, [visitor_id])
        row = cursor.fetchone()
    if row is None:
        return DEFAULT
    on, private_since, reset_at, topics, ignored = row
    return Controls(bool(on), _moment(private_since), _moment(reset_at), _json(topics), frozenset(_json(ignored)))


def _moment(value: datetime | None) -> datetime | None:
    """SQLite stores moments in UTC without saying so."""
    return value.replace(tzinfo=UTC) if value is not None and timezone.is_naive(value) else value


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def private_among(visitor_ids: Collection[str]) -> set[str]:
    """Those of these visitors who are in private mode, so that nothing of theirs is recorded; in one query."""
    private = Control.objects.filter(pk__in=visitor_ids, private_since__isnull=False)
    return set(private.values_list("pk", flat=True))


# Changes ------------------------------------------------------------------------------------------------------------


def set_topic(visitor: Visitor, topic: str, weight: float) -> Controls:
    """Show more (up to 1) or less (down to -1, which is never) of a category or a creator; 0 is as usual again.

    Raises InvalidInput for what is no topic of this shop, for another weight, and beyond MAX_TOPICS.
    """
    return set_topics(visitor, {topic: weight})


def set_topics(visitor: Visitor, weights: Mapping[str, float]) -> Controls:
    """The same for several topics, in one step for undo; those that are not given stay as they are."""
    named = [name_of(topic, checked=weight != 0) for topic, weight in weights.items()]
    for weight in weights.values():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not -1 <= weight <= 1:
            raise InvalidInput("A topic's weight is a number from -1 (never) to 1 (much more).")

    def change(row: Control) -> None:
        topics = {topic: float(weight) for topic, weight in {**row.topics, **weights}.items() if weight}
        if len(topics) > MAX_TOPICS:
            raise InvalidInput(f"There are {MAX_TOPICS} topics already, which is the most: set another to 0 first.")
        row.topics = topics

    return _change(visitor, f"the wish about {named[0]}" if len(named) == 1 else "the wishes about topics", change)


def dislike_topic(visitor: Visitor, topic: str) -> Controls:
    """Show nothing of a category or a creator any more."""
    return set_topic(visitor, topic, NEVER)


def ignore(visitor: Visitor, item_id: str, on: bool = True) -> Controls:
    """Let nothing that was done with an item be a reason, before or after; `on=False` lets it be one again.

    Raises InvalidInput for an item that there is not.
    """
    item = Item.objects.filter(pk=item_id).only("title").first() if is_external_id(item_id) else None
    if item is None and on:
        raise InvalidInput(f"No item has the id {str(item_id)[:80]!r}.")

    def change(row: Control) -> None:
        kept = [kept for kept in row.ignored if kept != item_id]
        row.ignored = [*kept, item_id] if on else kept
        if len(row.ignored) > MAX_IGNORED:
            raise InvalidInput(
                f"{MAX_IGNORED} items are left out already, which is the most: reset your taste instead."
            )

    return _change(visitor, f"{'leaving out' if on else 'counting'} {item.title if item else item_id}", change)


def reset(visitor: Visitor) -> Controls:
    """Begin anew: what was done so far, and the wishes about topics and reasons, say nothing any more."""

    def change(row: Control) -> None:
        row.reset_at, row.topics, row.ignored = timezone.now(), {}, []

    return _change(visitor, "the reset of your taste", change)


def private(visitor: Visitor, on: bool) -> Controls:
    """Record nothing from here on, or record again."""

    def change(row: Control) -> None:
        row.private_since = (row.private_since or timezone.now()) if on else None

    return _change(visitor, f"private mode {'on' if on else 'off'}", change)


def personalised(visitor: Visitor, on: bool) -> Controls:
    """Let what was done shape what is shown, or show what a stranger sees."""

    def change(row: Control) -> None:
        row.personalised = on

    return _change(visitor, f"personal recommendations {'on' if on else 'off'}", change)


def undoable(visitor_id: str) -> str:
    """What `undo` would take back, in words; empty where nothing."""
    steps = Control.objects.filter(pk=visitor_id).values_list("undo", flat=True).first()
    return str(steps[-1]["did"]) if steps else ""


@transaction.atomic
def undo(visitor: Visitor) -> str:
    """Go back to the state before the latest change. Returns what was taken back, in words; empty where nothing was."""
    row = Control.objects.select_for_update().filter(pk=visitor.pk).first()
    if row is None or not row.undo:
        return ""
    *row.undo, state = row.undo
    for name in STATE:
        setattr(row, name, state[name])
    for name in ("private_since", "reset_at"):
        setattr(row, name, parse_datetime(state[name]) if state[name] else None)
    row.save()
    return str(state["did"])


@transaction.atomic
def _change(visitor: Visitor, did: str, change: Callable[[Control], None]) -> Controls:
    """Carry out a change and keep the state before it, `did` being what it would be to take it back."""
    Control.objects.get_or_create(visitor=visitor)
    row = Control.objects.select_for_update().get(pk=visitor.pk)
    before = _state(row)
    change(row)
    if _state(row) != before:
        row.undo = [*row.undo, {"did": did[:200], **before}][-MAX_UNDO:]
        row.save()
    return Controls(row.personalised, row.private_since, row.reset_at, row.topics, frozenset(row.ignored))


def _state(row: Control) -> dict[str, Any]:
    """The row's STATE as JSON."""
    state = {name: getattr(row, name) for name in STATE}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in state.items()}


# Topics and what stands behind them ---------------------------------------------------------------------------------


def name_of(topic: str, checked: bool = False) -> str:
    """A topic in words. Raises InvalidInput for what is none, and, where `checked`, for one that the shop has not."""
    kind = next((kind for kind in (CATEGORY, CREATOR) if isinstance(topic, str) and topic.startswith(kind)), None)
    if kind is None or not storable(topic):
        raise InvalidInput("A topic is category: with a category's slug, or creator: with an author's or maker's name.")
    key = topic.removeprefix(kind)
    if kind == CATEGORY:
        name = Category.objects.filter(pk=key).values_list("name", flat=True).first()
    else:
        name = key if key and (not checked or Item.objects.filter(creator=key).exists()) else None
    if name is None and checked:
        raise InvalidInput(f"{topic[:80]!r} is no topic of this shop.")
    return name or key


def offered(visitor_id: str, controls: Controls, most: int = 12) -> tuple[list[Category], list[str]]:
    """Topics to decide about: the shop's categories, each department before its own, and the creators of whom most
    items are in the visitor's history since a reset; with all that something is decided about already.

    Of a shop with more than MAX_SHOWN categories, only the departments.
    """
    rows = list(Category.objects.select_related("parent"))
    rows.sort(key=lambda row: _order(row.parent or row) + ((1, *_order(row)) if row.parent else (0,)))
    if len(rows) > MAX_SHOWN:
        rows = [row for row in rows if row.parent_id is None or f"{CATEGORY}{row.pk}" in controls.topics]
    done = Event.objects.filter(visitor_id=visitor_id).exclude(kind=Event.Kind.IMPRESSION).exclude(item__creator="")
    if controls.reset_at:
        done = done.filter(occurred_at__gt=controls.reset_at)
    counted = done.order_by().values_list("item__creator").annotate(n=Count("item_id", distinct=True))
    found = [creator for creator, _ in counted.order_by("-n", "item__creator")[:most]]
    decided = [topic.removeprefix(CREATOR) for topic in controls.topics if topic.startswith(CREATOR)]
    return rows, sorted({*found, *decided}, key=str.casefold)


def _order(row: Category) -> tuple[int, str, str]:
    return row.position, row.name, row.pk


# What was recorded --------------------------------------------------------------------------------------------------


def visit_began(visitor_id: str, controls: Controls) -> datetime | None:
    """When the present visit began: the first event after a gap of half an hour; None where nothing of it is recorded.

    Time in private mode, of which nothing can be known, belongs to the visit.
    """
    began, latest = None, controls.private_since or timezone.now()
    moments = Event.objects.filter(visitor_id=visitor_id).order_by("-occurred_at").values_list("occurred_at", flat=True)
    for moment in moments.iterator(chunk_size=500):
        if latest - moment > VISIT_ENDS_AFTER:
            break
        began = latest = moment
    return began


def visit(visitor_id: str, controls: Controls) -> tuple[datetime | None, int]:
    """When the present visit began, and how many events of it are recorded; impressions are not counted."""
    began = visit_began(visitor_id, controls)
    if began is None:
        return None, 0
    done = Event.objects.filter(visitor_id=visitor_id, occurred_at__gte=began).exclude(kind=Event.Kind.IMPRESSION)
    return began, done.count()


@transaction.atomic
def forget_session(visitor: Visitor, since: datetime | None = None) -> int:
    """Delete what was recorded of a visitor since a moment, the beginning of the present visit if none is given.

    Events of every kind go, and with them the lists that were shown; orders and reviews stay, but with its event gone
    a purchase is learned from no more. What is deleted cannot be brought back. Returns how many events there were.
    Raises InvalidInput for a moment without a time zone or in the future.
    """
    if since is not None and (timezone.is_naive(since) or since > timezone.now()):
        raise InvalidInput("since must be a moment with a time zone that has passed, such as 2026-05-04T12:30:00Z.")
    began = since or visit_began(visitor.pk, read(visitor.pk))
    if began is None:
        return 0
    names = [visitor.pk, *Visitor.objects.filter(merged_into=visitor).values_list("pk", flat=True)]
    Answer.objects.filter(visitor_id__in=names, at__gte=began).delete()
    return Event.objects.filter(visitor=visitor, occurred_at__gte=began).delete()[0]


def disliked(visitor_id: str, controls: Controls) -> list[str]:
    """Items that a visitor disliked and has not liked since, the latest first."""
    opinions = opinions_of(visitor_id, controls).values_list("item_id", "kind")
    last: dict[str, tuple[datetime, str]] = {}
    for item_id, kind, at in opinions.annotate(at=Max("occurred_at")).order_by():
        last[item_id] = max(last.get(item_id, (at, "")), (at, kind))
    found = [(at, item_id) for item_id, (at, kind) in last.items() if kind == Event.Kind.DISLIKE]
    return [item_id for _, item_id in sorted(found, reverse=True)]


def opinions_of(visitor_id: str, controls: Controls) -> QuerySet[Event]:
    """Likes and dislikes since the last reset."""
    found = Event.objects.filter(visitor_id=visitor_id, kind__in=(Event.Kind.LIKE, Event.Kind.DISLIKE))
    return found.filter(occurred_at__gt=controls.reset_at) if controls.reset_at else found


def bring_back(visitor: Visitor, item_id: str) -> int:
    """Take back that an item was disliked; returns how many events that were."""
    if not is_external_id(item_id):
        return 0
    return Event.objects.filter(visitor=visitor, item_id=item_id, kind=Event.Kind.DISLIKE).delete()[0]
