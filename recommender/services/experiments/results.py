"""What an experiment has found so far: by visitors, not by events, because a visitor's events are not independent.

A visitor belongs to the variant that served them. Who was served by two (a guest who logged in elsewhere) is left out
and counted. Whoever clicked what the variant showed counts for "click"; for "cart" and "purchase", whoever did so after
they were first shown anything by it, wherever they found the item: what a variant takes from elsewhere is no gain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from recommender.models import Answer, Event, Experiment, Variant
from recommender.services.experiments.comparing import RATIO_ALPHA, Difference, Rate, difference, ratio_p

MEASURED_DAYS = 14.0  # back from its start, over which the rate is measured that an experiment starts from


@dataclass(frozen=True)
class Counted:
    visitors: int = 0
    answers: int = 0
    hits: int = 0
    """Visitors that did what the metric counts."""


@dataclass(frozen=True)
class Arm:
    """A variant and what became of its visitors."""

    variant: Variant
    counted: Counted
    difference: Difference | None
    """To the control; None for the control itself."""

    @property
    def rate(self) -> Rate:
        return Rate(self.counted.hits, self.counted.visitors)


@dataclass(frozen=True)
class Results:
    experiment: Experiment
    arms: list[Arm]
    """The control first."""
    crossed: int
    """Visitors that two variants served; they count for none."""
    ratio_p: float

    @property
    def visitors(self) -> int:
        return sum(arm.counted.visitors for arm in self.arms)

    @property
    def others(self) -> list[tuple[Arm, Difference]]:
        return [(arm, arm.difference) for arm in self.arms if arm.difference is not None]

    @property
    def mismatched(self) -> bool:
        """Visitors are not divided as the weights say: something drops them, and no difference can be trusted."""
        return self.ratio_p < RATIO_ALPHA

    @property
    def seen(self) -> float:
        """Share of the planned visitors, by the variant that is furthest behind."""
        return min((found.seen for _, found in self.others), default=0.0)

    @property
    def decided(self) -> bool:
        """Whether nothing more is to be waited for."""
        if self.mismatched:
            return self.seen >= 1
        return bool(self.others) and all(found.verdict != "open" for _, found in self.others)

    @property
    def winner(self) -> Arm | None:
        """The best of the variants that are certainly better than the control."""
        better = [(found.value, -place, arm) for place, (arm, found) in enumerate(self.others)
                  if found.verdict == "better"]  # fmt: skip
        return max(better)[2] if better and not self.mismatched else None

    def as_json(self) -> dict[str, Any]:
        counted = {str(arm.variant.pk): vars(arm.counted) for arm in self.arms}
        return {"variants": counted, "crossed": self.crossed}


def read(experiment: Experiment, now: datetime | None = None) -> Results:
    """What is known of it now; once it has stopped, what was known then."""
    variants = sorted(experiment.variants.select_related("run"), key=lambda one: (not one.control, one.pk))
    if experiment.status == Experiment.Status.STOPPED and experiment.report:
        stored = experiment.report["variants"]
        counted = {one.pk: Counted(**stored.get(str(one.pk), {})) for one in variants}
        return judged(experiment, variants, counted, experiment.report["crossed"])
    if experiment.status == Experiment.Status.DRAFT:
        return judged(experiment, variants, {}, 0)
    counted, crossed = _count(experiment.metric, now or timezone.now(), [one.pk for one in variants])
    return judged(experiment, variants, counted, crossed)


def judged(
    experiment: Experiment, variants: Sequence[Variant], counted: Mapping[int, Counted], crossed: int
) -> Results:
    """Compare each variant with the first, the control."""
    counts = [counted.get(one.pk, Counted()) for one in variants]
    rates = [Rate(one.hits, one.visitors) for one in counts]
    arms = [
        Arm(
            variant,
            counts[place],
            difference(rates[0], rates[place], experiment.needed or 0, len(variants) - 1) if place else None,
        )
        for place, variant in enumerate(variants)
    ]
    p = ratio_p([one.visitors for one in counts], [one.weight for one in variants])
    return Results(experiment, arms, crossed, p)


def baseline(metric: str, now: datetime | None = None) -> Rate:
    """The rate of visitors that no experiment serves, over the last days."""
    until = now or timezone.now()
    counted, _ = _count(metric, until, None, until - timedelta(days=MEASURED_DAYS))
    one = counted.get(0, Counted())
    return Rate(one.hits, one.visitors)


def _count(
    metric: str, until: datetime, variant_ids: Sequence[int] | None, since: datetime | None = None
) -> tuple[dict[int, Counted], int]:
    """By variant (0 where `variant_ids` is None: answers outside of experiments), and how many visitors had several."""
    answers, events = Answer._meta.db_table, Event._meta.db_table
    kinds: tuple[str, ...]
    if metric == Experiment.Metric.CLICK:
        joined, kinds = "e.rec_id = a.rec_id", ("view", "click")
    else:
        joined, kinds = "e.visitor_id = a.visitor_id AND e.occurred_at >= a.at", (metric,)
    hit = (
        f"EXISTS (SELECT 1 FROM {events} e WHERE {joined} AND e.kind IN ({_places(kinds)}) AND e.flag = '' "  # noqa: S608
        "AND e.occurred_at <= %s)"
    )
    which = "a.variant_id IS NULL" if variant_ids is None else f"a.variant_id IN ({_places(variant_ids)})"
    values: list[Any] = [*kinds, until, *(variant_ids or [])]
    if since is not None:
        which += " AND a.at >= %s"
        values.append(since)
    sql = (
        "SELECT v, CASE WHEN v = w THEN 0 ELSE 1 END AS several, COUNT(*), SUM(n), SUM(hit) FROM ("  # noqa: S608
        "SELECT COALESCE(MIN(a.variant_id), 0) AS v, COALESCE(MAX(a.variant_id), 0) AS w, COUNT(*) AS n, "
        f"MAX(CASE WHEN {hit} THEN 1 ELSE 0 END) AS hit FROM {answers} a "
        f"WHERE {which} AND a.visitor_id <> '' GROUP BY a.visitor_id) x GROUP BY 1, 2"
    )
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.execute(sql, [adapt(value) if isinstance(value, datetime) else value for value in values])
        rows = cursor.fetchall()
    found = {int(v): Counted(int(visitors), int(n), int(hits)) for v, several, visitors, n, hits in rows if not several}
    return found, sum(int(row[2]) for row in rows if row[1])


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))
