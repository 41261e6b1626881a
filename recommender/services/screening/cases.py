"""One verdict's case as its page shows it: what it is about, whom it acts with, and what that does to its targets."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Avg, Case, Count, Max, Min, Q, QuerySet, When
from django.db.models.functions import TruncDate

from recommender.models import Event, Item, Order, Review, Verdict
from recommender.services.screening import evidence, holds, weighing
from recommender.services.screening.evidence import Day, Evidence

Subject, Kind = Verdict.Subject, Event.Kind
GRID_MEMBERS, GRID_ITEMS = 12, 6  # as many as a page has room for
MOST_ACTORS = 200  # visitors who act together, in one query
MOST_MOMENTS = 300
TOUCHED = 6  # items, where it is said of none that it is a target


@dataclass(frozen=True)
class Target:
    """An item, with and without what this one and those that act with it did there."""

    item_id: str
    item: Item | None
    """None where it was deleted."""
    events: int
    """Its own."""
    share: float
    """Of all its events: 0 to 1."""
    group_events: int
    all_events: int
    stars: float | None
    stars_without: float | None
    ratings: int
    ratings_without: int

    @property
    def percent(self) -> int:
        return round(100 * self.share)

    @property
    def events_without(self) -> int:
        return self.all_events - self.group_events


@dataclass(frozen=True)
class Cell:
    text: str
    said: str
    """In words."""


@dataclass(frozen=True)
class Member:
    subject_id: str
    verdict: Verdict | None
    """None where it has none of its own."""
    cells: list[Cell]


@dataclass(frozen=True)
class Story:
    evidence: Evidence
    timeline: list[Day]
    kinds: list[tuple[str, int]]
    """Its events by kind, most first."""
    events: int
    first: datetime | None
    last: datetime | None
    named: bool
    """Whether the targets were found to be such; otherwise they are the items that it did most with."""
    targets: list[Target] = field(default_factory=list)
    grid_items: list[tuple[str, Item | None]] = field(default_factory=list)
    grid: list[Member] = field(default_factory=list)
    group_size: int = 0
    group_waiting: int = 0
    """Of its group: verdicts that nobody has decided yet."""
    moments: list[datetime] = field(default_factory=list)
    """When each of a session's events was; the first MOST_MOMENTS."""
    review: Review | None = None
    order: Order | None = None


def story(verdict: Verdict) -> Story:
    """In a fixed number of queries, whatever its size."""
    seen = evidence.read(verdict.evidence)
    own = own_events(verdict)
    kinds: list[tuple[str, int]] = []
    first = last = None
    if own is not None:
        rows = own.order_by().values_list("kind").annotate(Count("pk"), Min("occurred_at"), Max("occurred_at"))
        found = sorted(rows, key=lambda row: (-row[1], row[0]))
        kinds = [(kind, count) for kind, count, _, _ in found]
        first, last = min((r[2] for r in found), default=None), max((r[3] for r in found), default=None)
    events = sum(count for _, count in kinds)
    group = Verdict.objects.filter(group=verdict.group) if verdict.group else Verdict.objects.none()
    size = group.count()
    rows_of_group = list(group.defer("evidence", "reasons").order_by("-probability", "-pk")[:MOST_ACTORS])
    actors = _actors(verdict, seen, rows_of_group)
    wanted = seen.targets or _touched(own)
    review = order = None
    if verdict.subject == Subject.REVIEW and (pks := holds.review_ids([verdict.subject_id])):
        review = Review.objects.filter(pk__in=pks).select_related("item").first()
    if verdict.subject == Subject.ORDER:
        order = Order.objects.filter(pk=verdict.subject_id).prefetch_related("lines__item").first()
    items = Item.objects.in_bulk(wanted)
    columns, grid = _grid(verdict, rows_of_group, actors, seen.targets)
    return Story(
        evidence=seen,
        timeline=_ratings(review, actors) if review else seen.timeline or _timeline(own),
        kinds=kinds,
        events=events,
        first=first,
        last=last,
        named=bool(seen.targets),
        targets=_targets(wanted, items, own, events, actors),
        grid_items=columns,
        grid=grid,
        group_waiting=group.filter(state__in=Verdict.WAITING).count(),
        group_size=max(size, len(seen.members) + 1 if seen.members else 0),
        moments=list(own.order_by("occurred_at").values_list("occurred_at", flat=True)[:MOST_MOMENTS])
        if own is not None and verdict.subject == Subject.SESSION
        else [],
        review=review,
        order=order,
    )


def own_events(verdict: Verdict) -> QuerySet[Event] | None:
    """What it did: a profile's visitor all of it, others a part; None where it has no events."""
    about = weighing.described([verdict])
    if not about:
        return None
    one = about[0]
    mine = Event.objects.filter(visitor=one.visitor_id)
    if one.subject == Subject.PROFILE:
        return mine
    if one.subject == Subject.REVIEW:
        return mine.filter(item=one.item_id, kind=Kind.RATING)
    if one.subject == Subject.ORDER:
        return mine.filter(session=one.subject_id, kind=Kind.PURCHASE)
    if one.span is None:
        return None
    first, last = (datetime.fromtimestamp(at, UTC) for at in one.span)
    return mine.filter(occurred_at__gte=first, occurred_at__lt=last + timedelta(seconds=1))


def _actors(verdict: Verdict, seen: Evidence, rows: Iterable[Verdict]) -> list[str]:
    """Visitors behind it and behind those that act with it, itself first."""
    names = [verdict.visitor_id or "", *(row.visitor_id or "" for row in rows)]
    if verdict.subject == Subject.PROFILE:
        names += [verdict.subject_id, *seen.members]
    return [name for name in dict.fromkeys(names) if name][:MOST_ACTORS]


def _touched(own: QuerySet[Event] | None) -> list[str]:
    if own is None:
        return []
    rows = own.exclude(kind=Kind.IMPRESSION).order_by().values_list("item").annotate(n=Count("pk"))
    return [item_id for item_id, _ in rows.order_by("-n", "item")[:TOUCHED]]


def _timeline(own: QuerySet[Event] | None) -> list[Day]:
    """For evidence that has none."""
    if own is None:
        return []
    days: dict[date, dict[str, int]] = {}
    rows = own.order_by().annotate(day=TruncDate("occurred_at")).values_list("day", "kind").annotate(n=Count("pk"))
    for day, kind, count in rows:
        days.setdefault(day, {})[kind] = count
    return [Day(day.isoformat(), days[day]) for day in sorted(days)][-evidence.MOST_DAYS :]


def _ratings(review: Review, actors: list[str]) -> list[Day]:
    """A review is one event: what tells is when the others came that its item got."""
    days: dict[date, dict[str, int]] = {}
    found = Event.objects.filter(item=review.item_id, kind=Kind.RATING).order_by()
    rows = found.annotate(day=TruncDate("occurred_at"), own=Case(When(visitor__in=actors, then=1), default=0))
    for day, own, count in rows.values_list("day", "own").annotate(n=Count("pk")):
        days.setdefault(day, {})["by the group" if own else "by others"] = count
    return [Day(day.isoformat(), days[day]) for day in sorted(days)][-evidence.MOST_DAYS :]


def _targets(
    wanted: list[str], items: dict[str, Item], own: QuerySet[Event] | None, events: int, actors: list[str]
) -> list[Target]:
    if not wanted:
        return []
    theirs, stars = Q(visitor__in=actors), Q(kind=Kind.RATING)
    found = {
        row["item"]: row
        for row in Event.objects.filter(item__in=wanted)
        .exclude(kind=Kind.IMPRESSION)
        .order_by()
        .values("item")
        .annotate(
            all=Count("pk"),
            group=Count("pk", filter=theirs),
            stars=Avg("value", filter=stars),
            ratings=Count("pk", filter=stars),
            stars_without=Avg("value", filter=stars & ~theirs),
            ratings_without=Count("pk", filter=stars & ~theirs),
        )
    }
    mine: dict[str, int] = {}
    if own is not None:
        mine = dict(own.filter(item__in=wanted).order_by().values_list("item").annotate(Count("pk")))
    none: dict[str, Any] = dict.fromkeys(("all", "group", "ratings", "ratings_without"), 0)
    made = []
    for item_id in wanted:
        row = found.get(item_id, none)
        made.append(
            Target(
                item_id=item_id,
                item=items.get(item_id),
                events=mine.get(item_id, 0),
                share=mine.get(item_id, 0) / events if events else 0.0,
                group_events=row["group"],
                all_events=row["all"],
                stars=row.get("stars"),
                stars_without=row.get("stars_without"),
                ratings=row["ratings"],
                ratings_without=row["ratings_without"],
            )
        )
    return made


def _grid(
    verdict: Verdict, rows: list[Verdict], actors: list[str], targets: list[str]
) -> tuple[list[tuple[str, Item | None]], list[Member]]:
    """Those that act together and what each did with the items they share; nothing for one who acts alone."""
    shown = actors[:GRID_MEMBERS]
    if len(shown) < 2:
        return [], []
    theirs = Event.objects.filter(visitor__in=shown).exclude(kind=Kind.IMPRESSION).order_by()
    shared = theirs.values_list("item").annotate(n=Count("visitor", distinct=True)).filter(n__gte=2)
    most = [item_id for item_id, _ in shared.order_by("-n", "item")[:GRID_ITEMS]]
    columns = list(dict.fromkeys([*targets[:GRID_ITEMS], *most]))[:GRID_ITEMS]
    if not columns:
        return [], []
    items = Item.objects.in_bulk(columns)
    did: dict[tuple[str, str], dict[str, tuple[int, float | None]]] = {}
    found = Event.objects.filter(visitor__in=shown, item__in=columns).exclude(kind=Kind.IMPRESSION).order_by()
    for visitor, item, kind, count, most in found.values_list("visitor", "item", "kind").annotate(
        Count("pk"), Max("value")
    ):
        did.setdefault((visitor, item), {})[kind] = (count, most)
    by_visitor = {row.visitor_id: row for row in reversed(rows) if row.visitor_id}
    by_visitor[verdict.visitor_id or verdict.subject_id] = verdict
    members = [
        Member(name, by_visitor.get(name), [_cell(did.get((name, item_id), {})) for item_id in columns])
        for name in shown
    ]
    return [(item_id, items.get(item_id)) for item_id in columns], members


def _cell(did: dict[str, tuple[int, float | None]]) -> Cell:
    """Stars where it rated, otherwise how often it did something."""
    if not did:
        return Cell("–", "nothing")
    said = ", ".join(
        f"{value:g} stars" if kind == Kind.RATING and value is not None else f"{count} × {kind}"
        for kind, (count, value) in sorted(did.items())
    )
    stars = did.get(Kind.RATING, (0, None))[1]
    return Cell(f"{stars:g}★" if stars is not None else f"{sum(n for n, _ in did.values())}×", said)
