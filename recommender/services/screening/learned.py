"""What staff decided teaches the detectors: confirmed and released verdicts refine what is found next.

See engine/anomaly/supervised for what is learned and when it acts. A kind that staff have hardly decided about keeps
the detector's probability: what was told of one kind says nothing about another. What only staff's decisions find, and
the detector does not, is listed for staff; it weighs on events where the subject's rows are whole visitors, and on
nothing where the subject names events row by row.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.anomaly import Arrays, supervised
from recommender.engine.anomaly.found import Found
from recommender.engine.anomaly.rows import Scaling
from recommender.engine.options import Options
from recommender.models import Screening, Verdict, Visitor

State = Verdict.State
FEWEST_OF_KIND = 5  # decisions about a kind before any of it is judged by decisions
CLEAN_AFTER = timedelta(days=7)  # that a row has been looked at without being found, to count as clean
CLEAN_ASKED = 4_000  # rows whose age is looked up for that
CHUNK = 500  # values in one query
PASSES = 100  # latest passes that a word about a subject is looked for in
NEVER = "No pass has learned from them yet."
UNNAMED = "unusual"  # as records.py calls the kind of what looks like nothing that is known


@dataclass(frozen=True)
class Labels:
    """What people decided about a subject's rows that are there, and how many of those decided are gone."""

    values: NDArray[np.int8]
    """(R,), as `supervised` reads them."""
    kinds: Sequence[str]
    """(R,), empty where nobody decided."""
    known: frozenset[str]
    """Ids that have a verdict, whoever gave it."""
    gone: int


@dataclass(frozen=True)
class Refined:
    found: Found
    facts: dict[str, Any]
    """JSON, for the record: see `supervised.Learned`; and `gone`, decisions about rows that are no longer there."""


def refined(subject: str, found: Found, options: Options | None = None) -> Found:
    """What was found, as staff's decisions suggest; the same where they suggest nothing."""
    return refine(subject, found, options).found


def refine(subject: str, found: Found, options: Options | None = None) -> Refined:
    """The same, with a word about it. Raises what `options.progress` raises, Misfit and InvalidConfig where the found
    does not fit together."""
    options = options or Options(threads=conf().threads)
    labels = _labels(subject, found)
    decided = labels.values != supervised.UNKNOWN
    if not decided.any():
        return Refined(found, {"acts": False, "confirmed": 0, "released": 0, "gone": labels.gone, "why": _few(0, 0)})
    values = found.features.values
    learned = supervised.fit(
        values,
        labels.values,
        found.probabilities,
        options,
        kinds=labels.kinds,
        clean=_clean(subject, found, labels, options.seed),
    )
    facts = {**learned.facts, "gone": labels.gone}
    if not learned.acts:
        return Refined(found, facts)
    counts = Counter(kind for kind in labels.kinds if kind)
    strange = np.array([bool(kind) and counts[kind] < FEWEST_OF_KIND for kind in found.kinds], dtype=np.bool_)
    sure = supervised.probabilities(learned.arrays, values, found.probabilities)
    sure = np.where(strange, found.probabilities, sure)
    facts["kinds_left_alone"] = sorted({found.kinds[row] for row in np.flatnonzero(strange).tolist()})
    return Refined(_explained(found, sure, learned.arrays, labels, ~strange), facts)


def describe(subject: str) -> dict[str, Any]:
    """For the console: `words`, sentences for people; `acts`; `confirmed` and `released`, as they stand now; `facts` of
    the latest pass that learned, empty where none did."""
    counted = Counter(_decided(subject).values_list("state", flat=True))
    confirmed, released = counted[State.CONFIRMED], counted[State.RELEASED]
    latest = Screening.objects.filter(status=Screening.Status.SUCCEEDED).order_by("-id")
    facts: dict[str, Any] = {}
    for counts in latest.values_list("counts", flat=True)[:PASSES]:
        one = counts.get(subject) if isinstance(counts, dict) else None
        if isinstance(one, dict) and isinstance(one.get("staff"), dict):
            facts = one["staff"]
            break
    return {
        "confirmed": confirmed,
        "released": released,
        "acts": facts.get("acts") is True,
        "words": f"Staff confirmed {confirmed:,} and released {released:,}. {_said(facts)}",
        "facts": facts,
    }


def _said(facts: dict[str, Any]) -> str:
    if facts.get("acts") is not True:
        why = str(facts.get("why") or "")
        return f"The detector's probability stands: {why}" if why else NEVER
    try:
        words = (
            f"They refine what is found: kept from it, decisions were told with AUROC {facts['auroc']:.2f} and log loss"
            f" {facts['log_loss']:.2f}, by the detector alone {facts['auroc_without']:.2f} and"
            f" {facts['log_loss_without']:.2f}."
        )
        if facts.get("auroc_new_kinds") is not None:
            words += f" Kinds that were kept from it whole: AUROC {facts['auroc_new_kinds']:.2f}."
        if facts.get("kinds_left_alone"):
            words += f" Hardly decided about yet, and left to the detector: {', '.join(facts['kinds_left_alone'])}."
        return words
    except (KeyError, TypeError, ValueError):  # of another version
        return "They refine what is found."


def _few(confirmed: int, released: int) -> str:
    floor = supervised.Config().floor
    return f"{floor} of each are needed, confirmed and released; there are {confirmed} and {released}."


def _decided(subject: str) -> Any:
    return Verdict.objects.filter(
        subject=subject, state__in=(State.CONFIRMED, State.RELEASED), decided_by__isnull=False
    ).order_by()


def _labels(subject: str, found: Found) -> Labels:
    told = {key: (state, kind) for key, state, kind in _decided(subject).values_list("subject_id", "state", "kind")}
    ids = found.features.ids
    values, kinds, there = np.full(len(ids), supervised.UNKNOWN, dtype=np.int8), [""] * len(ids), set[str]()
    for row, name in enumerate(ids if told else ()):
        if (one := told.get(str(name))) is not None:
            values[row] = supervised.CONFIRMED if one[0] == State.CONFIRMED else supervised.RELEASED
            kinds[row] = one[1] or UNNAMED
            there.add(str(name))
    known = Verdict.objects.filter(subject=subject).order_by().values_list("subject_id", flat=True) if told else ()
    return Labels(values, kinds, frozenset(known), len(told) - len(there))


def _clean(subject: str, found: Found, labels: Labels, seed: int) -> NDArray[np.bool_]:
    """Rows, bool (R,), that have never been found though their visitors have been here for CLEAN_AFTER and so has the
    screening; none where nobody is known to be behind them."""
    ids = found.features.ids
    clean = np.zeros(len(ids), dtype=np.bool_)
    before = timezone.now() - CLEAN_AFTER
    owners: Sequence[str] | None = ids if subject == Verdict.Subject.PROFILE else found.visitors
    passes = Screening.objects.filter(status=Screening.Status.SUCCEEDED, finished_at__lt=before)
    if owners is None or not passes.exists():
        return clean
    able = np.flatnonzero(np.asarray(found.probabilities) < conf().screened.weigh_down_at)
    rows = np.random.default_rng(seed).permutation(able)[:CLEAN_ASKED]
    rows = np.array([row for row in rows.tolist() if str(ids[row]) not in labels.known], dtype=np.int64)
    old = set[str]()
    names = sorted({str(owners[row]) for row in rows.tolist()})
    for low in range(0, len(names), CHUNK):
        part = Visitor.objects.filter(pk__in=names[low : low + CHUNK], created_at__lt=before)
        old |= set(part.values_list("pk", flat=True))
    clean[rows] = [str(owners[row]) in old for row in rows.tolist()]
    return clean


def _explained(
    found: Found, sure: NDArray[np.float64], arrays: Arrays, labels: Labels, able: NDArray[np.bool_]
) -> Found:
    """With the new probabilities, and a kind and a reason for what staff's decisions find and the detector did not."""
    line = conf().screened.weigh_down_at
    suspicious = np.flatnonzero((sure >= line) & able)
    contributions, kinds = np.array(found.contributions, dtype=np.float32), list(found.kinds)
    reasons = dict(found.reasons)
    if len(suspicious):
        own = supervised.contributions(arrays, found.features.values[suspicious], found.probabilities[suspicious])
        contributions[suspicious] = (_shares(contributions[suspicious]) + _shares(own)) / 2
        raised = suspicious[found.probabilities[suspicious] < line]
        weights = own[np.isin(suspicious, raised)]
        nearest = _nearest(found.features.values, raised, np.flatnonzero(labels.values == supervised.CONFIRMED))
        for row, like, each in zip(raised.tolist(), nearest.tolist(), weights, strict=True):
            kinds[row] = kinds[row] or labels.kinds[like]
            reasons[row] = [_reason(found, row, each), *found.reasons.get(row, ())]
    return replace(
        found,
        probabilities=sure,
        contributions=contributions,
        kinds=kinds,
        reasons=reasons,
        detector=f"{found.detector} + staff"[: Verdict._meta.get_field("detector").max_length],
    )


def _shares(contributions: NDArray[np.float32]) -> NDArray[np.float32]:
    against = np.maximum(np.nan_to_num(contributions), 0)
    return np.asarray(against / np.maximum(against.sum(axis=1, keepdims=True), 1e-30))


def _nearest(values: NDArray[np.float32], rows: NDArray[np.int64], told: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of `told` rows (C,), the one that each of `rows` is most like."""
    scaling = Scaling.learn(values, "standard")
    known = scaling.scaled(values[told])
    found = [int(np.square(known - one).sum(axis=1).argmin()) for one in scaling.scaled(values[rows])]
    return told[np.array(found, dtype=np.int64)]


def _reason(found: Found, row: int, contributions: NDArray[np.float32]) -> str:
    """One sentence: the feature that speaks most for it, with the usual value beside its own."""
    feature = int(np.argmax(contributions))
    column = found.features.values[:, feature]
    own, usual = float(column[row]), column[np.isfinite(column)]
    words = "Staff confirmed others that look like it"
    if contributions[feature] <= 0 or not np.isfinite(own) or not len(usual):
        return f"{words}."
    name = found.features.names[feature].replace("_", " ")
    return f"{words}, above all by {name}: {own:,.4g} here, {float(np.median(usual)):,.4g} as a rule."
