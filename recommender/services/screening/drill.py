"""A drill: attack a copy of the shop, and see what is noticed, what it moves, and what the defence is worth.

Nothing is written: events are columns in memory, and what is learned from them is thrown away. What guards training
guards the copy: the same detectors, the same probabilities from which events count less or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import Found
from recommender.engine.anomaly.subjects import subject
from recommender.engine.anomaly.supervised import auroc
from recommender.engine.anomaly.trust import QUARANTINE_AT, WEIGH_DOWN_AT, trust
from recommender.engine.attacks import Attack, Injected, inject
from recommender.engine.attacks.profiles import NUKE
from recommender.engine.data.activity import Activity
from recommender.engine.data.interactions import UNKNOWN, Interactions
from recommender.engine.data.split import share_split
from recommender.engine.data.weighting import EventWeights
from recommender.engine.errors import NoData
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.protocol import evaluate, paired_difference
from recommender.engine.index.exact import top_k
from recommender.engine.options import Options, Progress, no_progress
from recommender.engine.trainers import Query, make_config, trainer
from recommender.services.screening import copies

SUBJECTS = ("profile",)  # what may taint a fake visitor's events
FALSE_SHARE = 0.01  # of the real visitors, who may be suspected at the threshold where caught ones are counted
LEAST_GAIN = 0.002  # of the real visitors: below it an attack has moved nothing that a defence could undo
MOST_SHOWN = 20  # items, which a nuke aims at: nobody loses what is not recommended
ASKED = 5_000  # real visitors whose lists are looked at, at most
SCORES_BYTES = 64 * 2**20  # held at once


@dataclass(frozen=True)
class Setup:
    """How a shop learns and defends itself."""

    trainer: str = "als"
    config: Mapping[str, Any] = field(default_factory=dict)
    k: int = 10
    """Length of the lists that targets should come into."""
    test_share: float = 0.2
    """Of the events, the last ones: what the defence's cost is measured by."""
    seed: int = 42
    threads: int = 1
    quarantine_at: float = QUARANTINE_AT
    weigh_down_at: float = WEIGH_DOWN_AT
    weights: EventWeights = field(default_factory=EventWeights)
    repeat_s: int = 1800
    """Within which the same again is one act, but for purchases."""
    subjects: Sequence[str] = SUBJECTS


@dataclass(frozen=True)
class Detection:
    auroc: float
    caught: float
    """Share of the fake visitors who are more suspect than all but FALSE_SHARE of the real ones."""
    quarantined: int
    """Visitors whose events would be left out."""
    precision: float
    """Share of those who are fake; NaN where there are none."""
    left_out: float
    """Share of the fake visitors whose events would be left out."""


@dataclass(frozen=True)
class Damage:
    """Share of the real visitors who see a target among their first K, who had none of them."""

    clean: float
    attacked: float
    defended: float
    intent: str

    @property
    def gain(self) -> float:
        """The attacker's, without the defence: what share of the visitors was won over, or kept from the target."""
        return self._towards(self.attacked)

    @property
    def left(self) -> float:
        """The attacker's, with the defence."""
        return self._towards(self.defended)

    @property
    def removed(self) -> float:
        """Share of the gain that the defence takes away; NaN where there is next to none."""
        return 1 - self.left / self.gain if self.gain >= LEAST_GAIN else float("nan")

    def _towards(self, reached: float) -> float:
        return self.clean - reached if self.intent == NUKE else reached - self.clean


@dataclass(frozen=True)
class Exercise:
    attack: Attack
    seed: int
    target_ids: tuple[str, ...]
    visitors: int
    """Fake ones."""
    events: int
    detection: Detection
    damage: Damage


@dataclass(frozen=True)
class Cost:
    """What the defence costs real visitors where nobody attacks, in NDCG of the events held out."""

    plain: Interval
    defended: Interval
    difference: Interval
    """Of the second and the first, over the same visitors."""
    suspected: float
    """Share of the events that count less or not at all."""

    @property
    def share(self) -> float:
        """Of the NDCG that is lost; below 0 where it rises. NaN where there was none."""
        return -self.difference.value / self.plain.value if self.plain.value > 0 else float("nan")

    @property
    def share_range(self) -> tuple[float, float]:
        if not self.plain.value > 0:
            return float("nan"), float("nan")
        return -self.difference.high / self.plain.value, -self.difference.low / self.plain.value


@dataclass(frozen=True)
class Ground:
    """A shop before the attack, and what was learned in it."""

    activity: Activity
    """With the vectors that its model has of items, which the attacker has not touched yet."""
    learned: Interactions
    query: Query
    asked: NDArray[np.int64]
    """Rows of the real visitors whose lists are looked at."""


def prepare(activity: Activity, setup: Setup, progress: Progress = no_progress) -> Ground:
    """Learn from the shop as it is. Raises NoData, and what the trainer raises."""
    learned = copies.interactions(activity, setup.weights, setup.repeat_s)
    if not (learned.weights > 0).any():
        raise NoData("Nobody has taken anything yet: import events, or seed the demo shop, before it is attacked.")
    query = _fit(learned, setup, progress)
    warm = np.flatnonzero(np.diff(learned.indptr))
    asked = np.sort(np.random.default_rng(setup.seed).permutation(warm)[:ASKED])
    return Ground(_with_vectors(activity, query), learned, query, asked)


def exercise(
    ground: Ground, attack: Attack, setup: Setup, seed: int = 42, progress: Progress = no_progress
) -> Exercise:
    """One attack on a copy. Raises InvalidConfig, NoData, and what detectors and the trainer raise."""
    injected = inject(ground.activity, aimed(ground, attack, setup.k, seed), seed)
    progress(0.05, "screening")
    found = screened(injected.activity, setup)
    fits = [(0.3, "learning without the defence", None), (0.65, "learning with it", _trusted(injected, found, setup))]
    rates = [hit_rate(ground.query, ground, injected.targets, setup.k)]
    for share, words, kept in fits:
        progress(share, words)
        query = _fit(copies.interactions(injected.activity, setup.weights, setup.repeat_s, kept), setup)
        rates.append(hit_rate(query, ground, injected.targets, setup.k))
    clean, attacked, defended = rates
    progress(1.0, "done")
    return Exercise(
        attack,
        seed,
        tuple(ground.activity.items.ids(injected.targets)),
        int(injected.fake.sum()),
        int(injected.fake_events.sum()),
        detection(found, injected, setup),
        Damage(clean, attacked, defended, attack.intent),
    )


def cost(activity: Activity, setup: Setup, progress: Progress = no_progress) -> Cost:
    """Learn from all but the last events with and without the defence, and ask for those. Raises NoData."""
    events = copies.interactions(activity, setup.weights, setup.repeat_s)
    train, test, at = share_split(events, setup.test_share)
    if not (len(test) and (train.weights > 0).any()):
        raise NoData("There are too few events to hold any out for measuring what the defence costs.")
    places = copies.order_of(activity) < at if not copies.timed(activity) else activity.times < at
    before = copies.where(activity, places)
    progress(0.1, "learning without the defence")
    plain = _fit(train, setup)
    progress(0.35, "screening")
    found = screened(_with_vectors(before, plain), setup)
    left = trust(before, found, setup.quarantine_at, setup.weigh_down_at)
    full = np.ones(len(activity), dtype=np.float32)
    full[places] = left
    weighed, _, _ = share_split(copies.interactions(activity, setup.weights, setup.repeat_s, full), setup.test_share)
    progress(0.5, "learning with the defence")
    defended = _fit(weighed, setup)
    progress(0.8, "comparing")
    first, second = (evaluate(query, train, test, (setup.k,)) for query in (plain, defended))
    metric = f"ndcg@{setup.k}"
    progress(1.0, "done")
    return Cost(
        first.main[metric],
        second.main[metric],
        paired_difference(second, first, metric),
        float((left < 1).mean()),
    )


def screened(activity: Activity, setup: Setup) -> dict[str, Found]:
    """What the detectors make of it, by subject."""
    options = Options(seed=setup.seed, threads=setup.threads)
    return {name: subject(name)(activity, options) for name in setup.subjects}


def detection(found: Mapping[str, Found], injected: Injected, setup: Setup) -> Detection:
    """How well fake visitors are told from real ones, by the probabilities of profiles."""
    profiles = found["profile"]
    rows = injected.activity.visitors.rows(profiles.features.ids)
    fake, p = injected.fake[rows], np.nan_to_num(profiles.probabilities)
    threshold = np.quantile(p[~fake], 1 - FALSE_SHARE)
    out = p >= setup.quarantine_at
    return Detection(
        auroc=auroc(p, fake),
        caught=float((p[fake] > threshold).mean()),
        quarantined=int(out.sum()),
        precision=float(fake[out].mean()) if out.any() else float("nan"),
        left_out=float(out[fake].mean()),
    )


def hit_rate(query: Query, ground: Ground, targets: NDArray[np.int32], k: int) -> float:
    """Share of the real visitors who see a target among their first K; those who have one already are not asked."""
    learned = ground.learned
    owners = np.unique(learned.user_rows[np.isin(learned.item_rows, targets)])
    users = np.setdiff1d(ground.asked, owners)
    hits = sum(int(np.isin(rows, targets).any(axis=1).sum()) for rows in _lists(query, learned, users, k))
    return hits / len(users) if len(users) else float("nan")


def aimed(ground: Ground, attack: Attack, k: int, seed: int) -> Attack:
    """The attack with its targets named, where it is a nuke that names none: of the items that are recommended most."""
    if attack.intent != NUKE or attack.target_ids:
        return attack
    shown = np.zeros(ground.learned.shape[1], dtype=np.int64)
    for rows in _lists(ground.query, ground.learned, ground.asked, k):
        shown += np.bincount(rows[rows >= 0], minlength=len(shown))
    most = np.argsort(-shown, kind="stable")[: max(MOST_SHOWN, attack.targets)]
    rows = np.random.default_rng(seed).choice(most, attack.targets, replace=False)
    return replace(attack, target_ids=tuple(ground.activity.items.ids(np.sort(rows))))


def _lists(query: Query, learned: Interactions, users: NDArray[np.int64], k: int) -> Iterator[NDArray[np.int32]]:
    """The first K of each user, rows (B, K), without what they have; -1 where there are no more."""
    size = max(1, SCORES_BYTES // (4 * max(learned.shape[1], 1)))
    for low in range(0, len(users), size):
        histories = learned.histories(users[low : low + size])
        scores = np.array(query.scores(histories), dtype=np.float32)
        scores[~np.isfinite(scores)] = -np.inf
        scores[histories.user_rows, histories.item_rows] = -np.inf
        rows, best = top_k(scores, k)
        yield np.where(best > -np.inf, rows, UNKNOWN)


def _fit(learned: Interactions, setup: Setup, progress: Progress = no_progress) -> Query:
    kind, config = trainer(setup.trainer), make_config(setup.trainer, setup.config)
    options = Options(seed=setup.seed, threads=setup.threads, progress=progress)
    return kind.query(kind.fit(learned, config, options), config)


def _with_vectors(activity: Activity, query: Query) -> Activity:
    """As detectors see a shop whose model has served for a while."""
    if query.item_vectors is None:
        return replace(activity, item_vectors=None)
    vectors = np.array(query.item_vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return replace(activity, item_vectors=vectors)


def _trusted(injected: Injected, found: Mapping[str, Found], setup: Setup) -> NDArray[np.float32]:
    return trust(injected.activity, found, setup.quarantine_at, setup.weigh_down_at)
