"""The live run is watched: where what shoppers do falls beyond a bound against the run before, that one serves again.

Both are measured on the same shelves, weighed as the live run shows them, and in the live run's first day only at the
hours that it has served. Visitors are what varies, not answers: one visitor's answers are not independent. As somebody
looks every minute, the live rate's bound is an asymptotic confidence sequence, which holds at all times at once
(Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Ann. Stat. 52, 2024, theorem 2.2); the rate of the run before stands
still and has an ordinary bound. Together they roll back a run that is no worse than the bound once in twenty
publications at most, and one that is as good as the run before practically never.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log as ln
from math import sqrt

import numpy as np
from django.db.models import Count, Exists, F, Func, OuterRef, Q
from django.db.models.fields import BooleanField
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.errors import RecommenderError
from recommender.models import Answer, Event, Publication, Run
from recommender.services import publishing
from recommender.services.experiments.comparing import NORMAL
from recommender.services.experiments.outcomes import CLICKS
from recommender.services.screening import alerts

log = logging.getLogger(__name__)

SETTLED = {
    "click_rate": timedelta(minutes=15),
    "cart_rate": timedelta(hours=2),
    "purchase_rate": timedelta(days=1),
}
"""How long an answer is waited for: younger ones do not count, and what comes later does not either."""
WATCHED = timedelta(days=7)  # of a run's life: what falls later does so for other reasons
BASE_DAYS = 7  # of the run before, so that it has each day of the week
LEAST_ANSWERS = 500  # of each run
LEAST_VISITORS = 50  # of each run: fewer are no sample, however much they look at
LEAST_HITS = 20  # of the run before
LEAST_ON_SHELF = 30  # answers of the run before; shelves with fewer are left out
ALPHA = 0.025  # of each of the two bounds, one-sided
EVERY, EVERY_SHARE = timedelta(seconds=50), 0.03  # between looks: of the run's age, once that is more
MARK = "Taken back by itself"
WORDS = {"click_rate": "were clicked", "cart_rate": "led to a cart", "purchase_rate": "led to a purchase"}

_next_look: dict[int, datetime] = {}  # by publication


@dataclass(frozen=True)
class Visits:
    """What each visitor was shown on each shelf, and how many of these answers led to something."""

    names: tuple[str, ...]
    """The shelves."""
    shelves: NDArray[np.int64]
    """(V,), which of these."""
    visitors: NDArray[np.int64]
    """(V,), numbers from 0; a visitor stands there once for each shelf."""
    answers: NDArray[np.float64]
    hits: NDArray[np.float64]
    """(V,) both."""

    def on(self, wanted: set[str]) -> "Visits":
        kept = np.array([name in wanted for name in self.names], bool)[self.shelves]
        return Visits(self.names, self.shelves[kept], self.visitors[kept], self.answers[kept], self.hits[kept])

    def per_shelf(self) -> dict[str, float]:
        """Answers by shelf; those without any are left out."""
        counts = np.bincount(self.shelves, weights=self.answers, minlength=len(self.names))
        return {name: float(count) for name, count in zip(self.names, counts, strict=True) if count}


@dataclass(frozen=True)
class Fall:
    """Two rates, and whether one is certainly below the other by more than the bound."""

    rate: float
    at_most: float
    before: float
    before_at_least: float
    answers: int
    answers_before: int
    certain: bool

    @property
    def share(self) -> float:
        """The relative fall."""
        return 1 - self.rate / self.before if self.before else 0.0


def look(now: datetime | None = None) -> Publication | None:
    """Roll the live run back where it fails; returns what was done. Nothing is done twice for one run: what a person
    publishes again is that person's decision."""
    moment = now or timezone.now()
    publication = Publication.objects.select_related("run").order_by("-id").first()
    if publication is None or publication.run is None or publication.action != Publication.Action.PUBLISH:
        return None
    target = publishing.roll_back_target()
    if not conf().served.watch or target is None or moment > publication.at + WATCHED + SETTLED["purchase_rate"]:
        return None
    if moment < _next_look.get(publication.pk, moment) or taken_back(publication.run):
        return None
    _next_look.clear()
    _next_look[publication.pk] = moment + max(EVERY, (moment - publication.at) * EVERY_SHARE)
    for metric, bound in conf().served.watch.items():
        fall = measured(publication, target, metric, bound, moment)
        if fall is not None and fall.certain:
            return _roll_back(publication, target, _reason(publication, target, metric, bound, fall))
    return None


def taken_back(run: Run) -> bool:
    """Whether the watch rolled this run back once."""
    return Publication.objects.filter(
        action=Publication.Action.ROLL_BACK, previous=run, by=None, reason__startswith=MARK
    ).exists()


def latest() -> Publication | None:
    """The roll-back that the watch did, while nothing was published since."""
    last = Publication.objects.select_related("run", "previous").order_by("-id").first()
    if last and last.action == Publication.Action.ROLL_BACK and last.by_id is None and last.reason.startswith(MARK):
        return last
    return None


def measured(publication: Publication, target: Run, metric: str, bound: float, now: datetime) -> Fall | None:
    """Compare the published run with the one before; None where too little was shown."""
    until = min(now - SETTLED[metric], publication.at + WATCHED)
    if publication.run_id is None or until <= publication.at:
        return None
    live = visits(publication.run_id, publication.at, until, metric)
    if live.answers.sum() < LEAST_ANSWERS:
        return None
    hours = _hours(publication.at, until)
    before = visits(target.pk, publication.at - timedelta(days=BASE_DAYS), publication.at, metric, hours)
    return compare(live, before, bound)


def compare(live: Visits, before: Visits, bound: float) -> Fall | None:
    """Whether the live rate has certainly fallen by more than `bound`; None where there is too little to say so.

    Rates are hits per answer, by linearisation over visitors (delta method of a ratio). Those of the run before are
    weighed so that its shelves count as the live run's do.
    """
    enough = {shelf for shelf, answers in before.per_shelf().items() if answers >= LEAST_ON_SHELF}
    shared = enough & set(live.per_shelf())
    live, before = live.on(shared), before.on(shared)
    few = min(live.answers.sum(), before.answers.sum()) < LEAST_ANSWERS or before.hits.sum() < LEAST_HITS
    if few or min(len(np.unique(found.visitors)) for found in (live, before)) < LEAST_VISITORS:
        return None
    ours, theirs = live.per_shelf(), before.per_shelf()
    weights = np.array([ours[name] / theirs[name] if name in shared else 0.0 for name in before.names])
    rate, error, count = _rate(live, np.ones(len(live.answers)))
    base, base_error, _ = _rate(before, weights[before.shelves])
    at_least = base - NORMAL.inv_cdf(1 - ALPHA) * base_error
    edge = (1 - bound) * at_least
    # Without a single hit the spread would be none: it is at least that of a rate at the edge.
    error = max(error, sqrt(max(edge * (1 - edge), 0.0) / live.answers.sum()))
    at_most = rate + _always(count) * error
    answers, answers_before = int(live.answers.sum()), int(before.answers.sum())
    return Fall(rate, at_most, base, at_least, answers, answers_before, at_most < edge)


def _rate(found: Visits, weights: NDArray[np.float64]) -> tuple[float, float, int]:
    """Weighed hits per weighed answer, its standard error over visitors, and how many those are."""
    shown = float((weights * found.answers).sum())
    rate = float((weights * found.hits).sum()) / shown
    parts = np.bincount(found.visitors, weights=weights * (found.hits - rate * found.answers))
    return rate, sqrt(float((parts**2).sum())) / shown, len(np.unique(found.visitors))


def _always(count: int) -> float:
    """How many standard errors from the mean of so many visitors the bound lies that holds at all times.

    The normal mixture is tuned to be tightest at LEAST_VISITORS.
    """
    k = -2 * ln(ALPHA) + ln(1 - 2 * ln(ALPHA))
    grown = k * count / LEAST_VISITORS
    return sqrt((1 + 1 / grown) * (2 * ln(1 / ALPHA) + ln(1 + grown)))


class _Holds(Func):
    """Whether a JSON list holds a text."""

    output_field = BooleanField()

    def as_sqlite(self, compiler, connection, **context):  # type: ignore[no-untyped-def]
        held, text = self.source_expressions
        one, first = compiler.compile(held)
        two, second = compiler.compile(text)
        return f"EXISTS (SELECT 1 FROM json_each({one}) WHERE value = {two})", (*first, *second)  # noqa: S608

    def as_postgresql(self, compiler, connection, **context):  # type: ignore[no-untyped-def]
        return self.as_sql(compiler, connection, function="jsonb_exists", **context)


def visits(run_id: int, since: datetime, until: datetime, metric: str, hours: list[int] | None = None) -> Visits:
    """A run's answers of that time, by visitor and shelf, without those of variants that are served otherwise.

    A cart or purchase counts for each answer that showed the item to the same visitor before.
    """
    plain = Q(variant=None) | Q(variant__run=None, variant__settings={}, variant__rules=True)
    rows = Answer.objects.filter(plain, run_id=run_id, at__gte=since, at__lt=until).exclude(visitor_id="")
    if hours is not None:
        rows = rows.filter(at__hour__in=hours)
    soon = Event.objects.filter(flag="", occurred_at__lt=OuterRef("at") + SETTLED[metric])
    if metric == "click_rate":
        hit = soon.filter(rec_id=OuterRef("rec_id"), kind__in=CLICKS)
    else:
        kind = metric.removesuffix("_rate")
        hit = soon.filter(visitor_id=OuterRef("visitor_id"), kind=kind, occurred_at__gte=OuterRef("at"))
        hit = hit.filter(_Holds(OuterRef("items"), F("item_id")))
    told = (
        rows.annotate(hit=Exists(hit))
        .values_list("shelf", "visitor_id")
        .annotate(n=Count("pk"), hits=Count("pk", filter=Q(hit=True)))
        .order_by()
    )
    shelves: dict[str, int] = {}
    visitors: dict[str, int] = {}
    counted = [
        (shelves.setdefault(shelf, len(shelves)), visitors.setdefault(visitor_id, len(visitors)), shown, hits)
        for shelf, visitor_id, shown, hits in told.iterator()
    ]
    table = np.array(counted, dtype=np.int64).reshape(-1, 4).T
    return Visits(tuple(shelves), table[0], table[1], table[2].astype(float), table[3].astype(float))


def _hours(since: datetime, until: datetime) -> list[int] | None:
    """The hours of the day that a time covers; None where that is all of them."""
    if until - since >= timedelta(hours=23):
        return None
    first = timezone.localtime(since).replace(minute=0, second=0, microsecond=0)
    steps = int((timezone.localtime(until) - first).total_seconds() // 3600)
    return sorted({(first + timedelta(hours=step)).hour for step in range(steps + 1)})


def _reason(publication: Publication, target: Run, metric: str, bound: float, fall: Fall) -> str:
    return (
        f"{MARK}: of {fall.answers:,} answers of run {publication.run_id}, {fall.rate:.2%} {WORDS[metric]} "
        f"(certainly below {fall.at_most:.2%}); of {fall.answers_before:,} of run {target.pk} on the same shelves, "
        f"{fall.before:.2%} (above {fall.before_at_least:.2%}). A fall of {fall.share:.0%}; the bound is {bound:.0%}."
    )


def _roll_back(publication: Publication, target: Run, reason: str) -> Publication | None:
    last = Publication.objects.order_by("-id").values_list("pk", flat=True).first()
    if last != publication.pk:  # staff were quicker
        return None
    try:
        done = publishing.roll_back(reason[: publishing.MAX_REASON])
    except (RecommenderError, OSError) as error:
        log.error("Run %s fails, but cannot be rolled back: %s. %s", publication.run_id, error, reason)
        return None
    log.warning("Run %s was rolled back to run %s. %s", publication.run_id, target.pk, reason)
    alerts.tell(f"Run {publication.run_id} was rolled back to run {target.pk}", reason, f"watch-{done.pk}")
    return done


def forget() -> None:
    """For tests: it was not looked yet."""
    _next_look.clear()
