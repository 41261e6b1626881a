"""Cases like one: those that act with it, those that have the same targets, and those whose features lie nearest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recommender.models import Verdict
from recommender.services.screening import evidence

SHOWN = 8
GROUP_SHOWN = 5  # of its group, which has a picture of its own; the rest is for others
CANDIDATES = 400  # verdicts of its kind that are compared, the most certain first; each carries its evidence
FEWEST_FEATURES = 2  # in common, to be compared by
SHARED_TARGETS = 2


@dataclass(frozen=True)
class Similar:
    verdict: Verdict
    why: str

    @property
    def percent(self) -> int:
        return int(100 * self.verdict.probability)


def similar(verdict: Verdict, most: int = SHOWN) -> list[Similar]:
    """At most `most`, the closest first: its group, then the same targets, then the nearest features of its kind."""
    rows = Verdict.objects.exclude(pk=verdict.pk)
    found: dict[int, Similar] = {}
    if verdict.group:
        for one in rows.filter(group=verdict.group).order_by("-probability", "-pk")[: min(most, GROUP_SHOWN)]:
            found[one.pk] = Similar(one, "acts with it")
    same = rows.filter(subject=verdict.subject, kind=verdict.kind).exclude(pk__in=found)
    candidates = list(same.order_by("-probability", "-pk")[:CANDIDATES])
    own, read = evidence.read(verdict.evidence), [evidence.read(one.evidence) for one in candidates]
    targets = set(own.targets)
    shared = [len(targets & set(one.targets)) for one in read]
    enough = min(SHARED_TARGETS, len(targets)) or 1
    for place in sorted(range(len(read)), key=lambda at: -shared[at]):
        if shared[place] >= enough:
            one, count = candidates[place], shared[place]
            found[one.pk] = Similar(one, f"{count} of the same targets" if count > 1 else "the same target")
    distances = _distances(own.features, [one.features for one in read])
    for place in np.argsort(distances, kind="stable").tolist():
        if np.isfinite(distances[place]):
            found.setdefault(candidates[place].pk, Similar(candidates[place], "its figures are alike"))
    return list(found.values())[:most]


def _distances(own: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> np.ndarray:
    """(len(others),): mean squared difference in units of each feature's spread; infinite where too few are shared."""
    names = sorted(own)
    if not names or not others:
        return np.full(len(others), np.inf)
    rows = np.array([[one.get(name, np.nan) for name in names] for one in [*others, own]])
    known = ~np.isnan(rows)
    middle = np.where(known, rows, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    spread = np.sqrt(np.where(known, (rows - middle) ** 2, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    apart = (rows[:-1] - rows[-1]) / np.where(spread > 0, spread, 1)
    counted = known[:-1].sum(axis=1)
    means = np.where(known[:-1], apart**2, 0).sum(axis=1) / np.maximum(counted, 1)
    return np.where(counted >= min(FEWEST_FEATURES, len(names)), means, np.inf)
