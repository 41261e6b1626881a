"""Whether a model may be published: the checks between a training and the shop, each with a plain sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.evaluation.protocol import Report, paired_difference

BASELINE = "popularity"  # the trainer that every other has to beat


@dataclass(frozen=True)
class GateConfig:
    metric: str = "ndcg"
    """The metric that decides, at the smallest K that was measured."""
    min_users: int = 50
    """Test users with a history below which a comparison says too little to refuse a model."""
    min_coverage: float = 0.01
    """Share of the items that could have been recommended (at most K per user, at most all) that must have been."""


@dataclass(frozen=True)
class Verdict:
    passed: bool
    reasons: list[str]
    """Sentences: why it was refused, or what kept it from being judged; empty where every check was made and passed."""
    checks: list[dict[str, Any]]
    """Every check: name, passed, sentence and the numbers it is about."""

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "reasons": self.reasons, "checks": self.checks}


def judge(
    candidate: Report,
    baseline: Report,
    live: Mapping[str, Any] | None = None,
    *,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    personalised: bool = True,
    config: GateConfig | None = None,
) -> Verdict:
    """Judge `candidate` against popularity's report on the same users and the live model's recorded `Report.as_json()`.

    `arrays` are the learned arrays, looked through for NaN and infinity; `personalised` is False for trainers that mean
    to give everyone the same list. Raises ValueError where the two reports are over different users.
    """
    config = config or GateConfig()
    metric = f"{config.metric}@{min(candidate.ks)}"
    users = int(candidate.warm.sum())
    checks = [_finite(candidate, arrays or {})]
    notes = []
    if users < max(config.min_users, 1):
        notes.append(
            f"Only {users} test users have a history, too few to compare by; {config.min_users} are asked for."
        )
    else:
        if personalised:
            checks += [_tells_apart(candidate), _covers(candidate, config.min_coverage)]
            checks.append(_beats_popularity(candidate, baseline, metric))
        live_figure = (live or {}).get("metrics", {}).get(metric)
        if live_figure and live_figure["value"] is not None:
            checks.append(_keeps_up(candidate, live_figure, metric))
    refused = [check["sentence"] for check in checks if not check["passed"]]
    return Verdict(not refused, refused + notes, checks)


def _finite(candidate: Report, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    broken = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if broken:
        sentence = f"NaN or infinity stands in {', '.join(sorted(broken))}."
    elif candidate.not_finite:
        sentence = f"The scores of {candidate.not_finite} users hold NaN or infinity."
    else:
        sentence = "All vectors and scores are finite."
    passed = not broken and not candidate.not_finite
    return {"name": "finite", "passed": passed, "sentence": sentence, "users": candidate.not_finite}


def _tells_apart(candidate: Report) -> dict[str, Any]:
    lists, compared = candidate.distinct_lists, candidate.compared
    passed = lists > 1 or compared < 2
    sentence = (
        f"{compared} users get {lists} different lists."
        if passed
        else f"All {compared} users compared get the same list: the model has collapsed."
    )
    return {"name": "tells_apart", "passed": passed, "sentence": sentence, "lists": lists, "compared": compared}


def _covers(candidate: Report, floor: float) -> dict[str, Any]:
    possible = min(candidate.items, int(candidate.warm.sum()) * min(candidate.ks))
    share = candidate.shown / possible if possible else 0.0
    passed = share >= floor
    sentence = f"{candidate.shown} different items are recommended, {share:.1%} of the {possible} that could be" + (
        "." if passed else f"; at least {floor:.1%} are asked for: the model has collapsed onto a few items."
    )
    return {"name": "covers", "passed": passed, "sentence": sentence, "share": share, "floor": floor}


def _beats_popularity(candidate: Report, baseline: Report, metric: str) -> dict[str, Any]:
    ours, floor = candidate.main[metric].value, baseline.main[metric].value
    difference = paired_difference(candidate, baseline, metric)
    passed = difference.high >= 0
    word = "better than" if difference.low > 0 else "about as good as" if passed else "worse than"
    sentence = (
        f"{metric} is {ours:.4f}, {word} recommending what is popular ({floor:.4f}); "
        f"the difference lies between {difference.low:+.4f} and {difference.high:+.4f}."
    )
    facts = {"value": ours, "popularity": floor, "difference": difference.as_json()}
    return {"name": "beats_popularity", "passed": passed, "sentence": sentence, **facts}


def _keeps_up(candidate: Report, live: Mapping[str, float], metric: str) -> dict[str, Any]:
    """The two were measured on different users, so their errors add up as independent ones do: by their squares."""
    ours = candidate.main[metric]
    margin = hypot(ours.high - ours.value, live["value"] - live["low"])
    passed = ours.value >= live["value"] - margin
    sentence = (
        f"{metric} is {ours.value:.4f}; the live model recorded {live['value']:.4f}, "
        + ("within" if passed else "and that is beyond")
        + f" the {margin:.4f} that chance allows."
    )
    if ours.value >= live["value"]:
        sentence = f"{metric} is {ours.value:.4f}, no worse than the live model's recorded {live['value']:.4f}."
    facts = {"value": ours.value, "live": live["value"], "margin": margin}
    return {"name": "keeps_up", "passed": passed, "sentence": sentence, **facts}
