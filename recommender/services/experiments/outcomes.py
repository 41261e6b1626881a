"""What came of what was shown: views, clicks, carts and purchases joined to answers, per run, shelf and place.

A view or click counts for the answer whose `rec_id` it names, where that answer really held the item. A cart or
purchase mostly comes later and from elsewhere: where it names no answer, it counts for the last one within a day before
that showed the item to the same visitor. Flagged events count for nothing. Rates are shares of answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from recommender.models import Answer, Event, Run
from recommender.services.experiments.comparing import Rate, lift

ATTRIBUTED = timedelta(days=1)  # how long after it was shown a cart or a purchase counts for an answer
CLICKS = (Event.Kind.VIEW.value, Event.Kind.CLICK.value)  # the shop records the opened page, clients the click
METRICS = {"click_rate": "clicked", "cart_rate": "carted", "purchase_rate": "bought"}
RUN_DAYS = 7.0  # that a run's own page looks back; it should open at once
PLACES = 20  # of a shelf, that the table names

_NAMES = {"impression": "seen", "click": "clicks", "cart": "carts", "purchase": "purchases"}
_REACHED = {"click": "clicked", "cart": "carted", "purchase": "bought"}


@dataclass
class Counts:
    """What was counted of some answers. Of places: what stood there."""

    answers: int = 0
    shown: int = 0
    """Items in them."""
    seen: int = 0
    """Items that came into view, where the client says so."""
    clicks: int = 0
    carts: int = 0
    purchases: int = 0
    clicked: int = 0
    """Answers with a click at least; the two below likewise."""
    carted: int = 0
    bought: int = 0

    def add(self, other: "Counts") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def rate(self, metric: str) -> Rate:
        """Of METRICS: the share of answers with such an event at least."""
        return Rate(getattr(self, METRICS[metric]), self.answers)


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    label: str
    counts: Counts
    run: Run | None = None
    before: "Line | None" = None
    """The run that was shown before this one."""

    @property
    def rates(self) -> list[Rate]:
        return [self.counts.rate(metric) for metric in METRICS]

    @property
    def lift(self) -> tuple[float, float, float] | None:
        """Of clicks, against the run before, with its interval."""
        if self.before is None:
            return None
        return lift(self.counts.rate("click_rate"), self.before.counts.rate("click_rate"))


@dataclass(frozen=True)
class Outcomes:
    since: datetime
    until: datetime
    total: Counts
    runs: list[Line]
    """The latest first."""
    shelves: list[Line]
    places: list[Line]

    def __bool__(self) -> bool:
        return self.total.answers > 0


def read(days: float = 7.0, now: datetime | None = None, run_id: int | None = None) -> Outcomes:
    """What came of the answers of the last days, of all runs or of one."""
    until = now or timezone.now()
    since = until - timedelta(days=days)
    by_run: dict[int | None, Counts] = defaultdict(Counts)
    by_shelf: dict[str, Counts] = defaultdict(Counts)
    by_place: dict[int, Counts] = defaultdict(Counts)
    first: dict[int | None, datetime] = {}
    lengths: dict[int, int] = defaultdict(int)
    for run, shelf, length, count, at in _answers(since, until, run_id):
        first[run] = min(first.get(run, at), at)
        lengths[length] += count
        for counts in (by_run[run], by_shelf[shelf]):
            counts.answers += count
            counts.shown += count * length
    for run, shelf, place, happened in _events(since, until, run_id):
        by_place[place].add(happened)
        for counts in (by_run[run], by_shelf[shelf]):
            counts.add(happened)
    for place in range(1, max(lengths, default=0) + 1):
        one = by_place[place]
        one.answers = one.shown = sum(count for length, count in lengths.items() if length >= place)
        one.clicked, one.carted, one.bought = one.clicks, one.carts, one.purchases
    total = Counts()
    for counts in by_run.values():
        total.add(counts)
    return Outcomes(
        since,
        until,
        total,
        _runs(by_run, first),
        [Line(shelf, counts) for shelf, counts in sorted(by_shelf.items(), key=lambda one: -one[1].answers)],
        [Line(str(place), counts) for place, counts in sorted(by_place.items())[:PLACES]],
    )


def of_run(run_id: int, now: datetime | None = None) -> Counts:
    """What came of a run's answers of the last RUN_DAYS."""
    return read(RUN_DAYS, now, run_id).total


def _runs(by_run: dict[int | None, Counts], first: dict[int | None, datetime]) -> list[Line]:
    known = Run.objects.only("trainer", "status").in_bulk([run for run in by_run if run is not None])
    lines: list[Line] = []
    for run in sorted((run for run in by_run if run is not None), key=lambda run: first[run]):
        lines.append(Line(f"Run {run}", by_run[run], known.get(run), lines[-1] if lines else None))
    without = [Line("No run", by_run[None])] if None in by_run else []
    return [*reversed(lines), *without]


# The database. Names of tables and of columns are Django's own, values are parameters.

_ANSWER, _EVENT = Answer._meta.db_table, Event._meta.db_table


def _answers(since: datetime, until: datetime, run_id: int | None) -> list[tuple[Any, str, int, int, datetime]]:
    """(run, shelf, items in it, answers, the first's time)."""
    length = "jsonb_array_length(a.items)" if _is_postgres() else "json_array_length(a.items)"
    rows = _rows(
        f"SELECT a.run_id, a.shelf, {length}, COUNT(*), MIN(a.at) FROM {_ANSWER} a "  # noqa: S608
        f"WHERE a.at >= %s AND a.at < %s{_of(run_id)} GROUP BY 1, 2, 3",
        since, until, *_one(run_id),
    )  # fmt: skip
    return [(*row[:4], _moment(row[4])) for row in rows]


def _events(since: datetime, until: datetime, run_id: int | None) -> Iterator[tuple[int | None, str, int, Counts]]:
    """(run, shelf, place, what was done with what stood there): each item of an answer counts once for each kind. An
    answer that led to several counts as clicked, and so on, at the first place where it did."""
    nth = "ROW_NUMBER() OVER (PARTITION BY rec_id, kind ORDER BY place)"
    for run, shelf, place, kind, count, answers in _rows(
        "SELECT run_id, shelf, place, kind, COUNT(*), SUM(CASE WHEN nth = 1 THEN 1 ELSE 0 END) FROM ("  # noqa: S608
        f"SELECT j.*, {nth} AS nth FROM ({_joined(run_id)}) j) n GROUP BY 1, 2, 3, 4",
        *(since, since, until + ATTRIBUTED, since, until, *_one(run_id)),
    ):
        happened = {_NAMES[kind]: count}
        if kind != "impression":
            happened[_REACHED[kind]] = answers
        yield run, shelf, place, Counts(**happened)


def _joined(run_id: int | None) -> str:
    """Distinct (answer, run, shelf, place, kind) of what was done with items of the answers."""
    day = f"e.occurred_at - interval '{int(ATTRIBUTED.total_seconds())} seconds'"
    if not _is_postgres():
        day = f"datetime(e.occurred_at, '-{int(ATTRIBUTED.total_seconds())} seconds')"
    direct = (
        f"SELECT e.rec_id AS rec, e.item_id, CASE e.kind WHEN 'view' THEN 'click' ELSE e.kind END AS kind "  # noqa: S608
        f"FROM {_EVENT} e WHERE e.kind IN ('impression', 'view', 'click') AND e.flag = '' "
        f"AND e.rec_id IS NOT NULL AND e.occurred_at >= %s"
    )
    named = f"SELECT d.rec_id FROM {_ANSWER} d WHERE d.rec_id = e.rec_id AND {_holds('d')}"  # noqa: S608
    last = (
        f"SELECT l.rec_id FROM {_ANSWER} l WHERE l.visitor_id = e.visitor_id AND l.at <= e.occurred_at "  # noqa: S608
        f"AND l.at > {day} AND {_holds('l')} ORDER BY l.at DESC LIMIT 1"
    )
    later = (
        f"SELECT COALESCE(({named}), ({last})) AS rec, e.item_id, e.kind FROM {_EVENT} e "  # noqa: S608
        "WHERE e.kind IN ('cart', 'purchase') AND e.flag = '' AND e.occurred_at >= %s AND e.occurred_at < %s"
    )
    place = (
        "jsonb_array_elements_text(a.items) WITH ORDINALITY AS p(value, place)"
        if _is_postgres()
        else "json_each(a.items) p"
    )
    number = "p.place" if _is_postgres() else "p.key + 1"
    return (
        f"SELECT DISTINCT a.rec_id, a.run_id, a.shelf, {number} AS place, o.kind "  # noqa: S608
        f"FROM ({direct} UNION ALL {later}) o JOIN {_ANSWER} a ON a.rec_id = o.rec CROSS JOIN {place} "
        f"WHERE p.value = o.item_id AND a.at >= %s AND a.at < %s{_of(run_id)}"
    )


def _holds(answer: str) -> str:
    """Whether an answer held the event's item."""
    if _is_postgres():
        return f"jsonb_exists({answer}.items, e.item_id)"
    return f"EXISTS (SELECT 1 FROM json_each({answer}.items) WHERE value = e.item_id)"  # noqa: S608


def _of(run_id: int | None) -> str:
    return " AND a.run_id = %s" if run_id is not None else ""


def _one(run_id: int | None) -> Iterable[int]:
    return [] if run_id is None else [run_id]


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"


def _rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(sql, [adapt(value) if isinstance(value, datetime) else value for value in values])
        return cursor.fetchall()


def _moment(value: Any) -> datetime:
    """SQLite gives back the text that it was given."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return found if found.tzinfo else timezone.make_aware(found, timezone.get_fixed_timezone(0))
