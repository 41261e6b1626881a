"""One protocol for every trainer: rank all items, hide what the user already has, and look for the test items.

No item is sampled away. Users are asked in batches, so that memory is bounded; every user's figures are kept, so that
two models can be compared on the same users.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import without_known_pairs
from recommender.engine.errors import InvalidDataset
from recommender.engine.evaluation.bootstrap import SAMPLES, SEED, Interval, intervals
from recommender.engine.index.exact import top_k
from recommender.engine.metrics import PER_USER, coverage, gini, novelty
from recommender.engine.trainers import Progress, Query, no_progress

BATCH_BYTES = 64 * 2**20  # of scores held at once; masking and sorting them takes about five times as much
LENGTHS = {"cold": (0, 0), "1-5": (1, 5), "6-20": (6, 20), "21+": (21, np.inf)}  # events in a history
POPULARITY = ("head", "mid", "tail")  # items that together make the first, second and last third of the history's pairs
PERSONAL_SAMPLE = 200  # users whose unmasked lists are compared, to see whether a model tells people apart


@dataclass(frozen=True)
class Report:
    """What was found. Main figures are over users with a history; cold ones have a segment of their own."""

    ks: tuple[int, ...]
    user_rows: NDArray[np.int32]
    """(V,): the users with test items, ascending."""
    lengths: NDArray[np.int64]
    """(V,): events in their histories; 0 is cold."""
    per_user: Mapping[str, NDArray[np.float64]]
    """`metric@k` -> (V,). `recall.head@k` and its like are NaN for users without test items of that popularity."""
    catalogue: Mapping[str, float]
    """`coverage@k`, `novelty@k` (bits), `gini@k` over the lists of users with a history."""
    shown: int
    """Distinct items recommended at the smallest K."""
    items: int
    distinct_lists: int
    """Distinct lists among `compared` users before hiding what they have; 1 means that all get the same."""
    compared: int
    not_finite: int
    """Users for whom some item's score was NaN or infinite."""
    repeats: int
    """Test pairs left out because the user has them already."""
    samples: int = SAMPLES
    seed: int = SEED
    main: Mapping[str, Interval] = field(init=False)
    """`metric@k` -> mean over users with a history, with its 95 % interval."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "main", self._intervals(self.warm))

    @property
    def warm(self) -> NDArray[np.bool_]:
        return self.lengths > 0

    def as_json(self) -> dict[str, Any]:
        """Figures and counts without the per-user arrays; None stands where there was nobody to measure."""
        return {
            "ks": list(self.ks),
            "users": int(self.warm.sum()),
            "cold_users": int((~self.warm).sum()),
            "repeats": self.repeats,
            "not_finite": self.not_finite,
            "distinct_lists": self.distinct_lists,
            "compared": self.compared,
            "shown": self.shown,
            "items": self.items,
            "metrics": {name: interval.as_json() for name, interval in self.main.items()},
            "catalogue": dict(self.catalogue),
            "segments": self._length_segments() | self._popularity_segments(),
        }

    def _intervals(self, users: NDArray[np.bool_]) -> dict[str, Interval]:
        names = [name for name in self.per_user if "." not in name]
        values = np.stack([self.per_user[name][users] for name in names], axis=1)
        return dict(zip(names, intervals(values, self.samples, self.seed), strict=True))

    def _length_segments(self) -> dict[str, Any]:
        segments = {}
        for name, (low, high) in LENGTHS.items():
            users = (self.lengths >= low) & (self.lengths <= high)
            figures = {metric: interval.as_json() for metric, interval in self._intervals(users).items()}
            segments[f"history {name}"] = {"users": int(users.sum()), "metrics": figures}
        return segments

    def _popularity_segments(self) -> dict[str, Any]:
        segments = {}
        for part in POPULARITY:
            figures, asked = {}, 0
            for k in self.ks:
                values = self.per_user[f"recall.{part}@{k}"][self.warm]
                values = values[~np.isnan(values)]
                asked = len(values)
                [interval] = intervals(values[:, None], self.samples, self.seed)
                figures[f"recall@{k}"] = interval.as_json()
            segments[f"items {part}"] = {"users": asked, "metrics": figures}
        return segments


def evaluate(
    query: Query,
    history: Interactions,
    test: Interactions,
    ks: Sequence[int] = (10, 20),
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
    progress: Progress = no_progress,
) -> Report:
    """Ask `query` about every user of `test`, given and hiding all they have in `history`, over the same ids.

    Test pairs that speak against an item (weight <= 0) or are in `history` are not asked for; users left without test
    items are skipped. Raises InvalidDataset where the two do not share their ids, and whatever `progress` raises.
    """
    if history.shape != test.shape:
        raise InvalidDataset(f"History is {history.shape} and test {test.shape}; they must share users and items.")
    if not ks or min(ks) < 1:
        raise ValueError("ks must be whole numbers above 0.")
    asked = without_known_pairs(test.where(test.weights > 0), history)
    wanted = asked.matrix
    relevant = np.diff(wanted.indptr).astype(np.int64)
    users = np.flatnonzero(relevant).astype(np.int32)
    n, deepest = history.shape[1], max(ks)
    lengths = np.diff(history.indptr)[users]
    known = np.bincount(history.matrix.indices, minlength=n)
    third = popularity_thirds(known)

    per_user = {f"{name}@{k}": np.zeros(len(users)) for k in ks for name in PER_USER}
    per_user |= {f"recall.{part}@{k}": np.full(len(users), np.nan) for k in ks for part in POPULARITY}
    shown = {k: np.zeros(n, dtype=np.int64) for k in ks}
    not_finite = 0
    size = max(1, BATCH_BYTES // (4 * max(n, 1)))
    for start in range(0, len(users), size):
        progress(start / len(users), f"{start} of {len(users)} users")
        batch = slice(start, min(start + size, len(users)))
        rows, shows, bad = _ranked(query, history.histories(users[batch]), deepest, hide=True)
        not_finite += bad
        truth = np.zeros((len(rows), n), dtype=np.bool_)
        test_rows = wanted[users[batch]].tocoo()
        truth[test_rows.row, test_rows.col] = True
        hits = np.take_along_axis(truth, rows, axis=1) & shows
        warm = lengths[batch] > 0
        for part, label in enumerate(POPULARITY):
            of_part = np.bincount(test_rows.row, weights=third[test_rows.col] == part, minlength=len(rows))
            found = np.cumsum(hits & (third[rows] == part), axis=1)
            for k in ks:
                share = found[:, min(k, n) - 1] / np.maximum(of_part, 1)
                per_user[f"recall.{label}@{k}"][batch] = np.where(of_part > 0, share, np.nan)
        for k in ks:
            for name, metric in PER_USER.items():
                per_user[f"{name}@{k}"][batch] = metric(hits, relevant[users[batch]], k)
            shown[k] += np.bincount(rows[:, :k][shows[:, :k] & warm[:, None]], minlength=n)
    progress(1.0, f"{len(users)} users")

    compared = users[lengths > 0]
    compared = compared[np.linspace(0, len(compared) - 1, min(PERSONAL_SAMPLE, len(compared))).astype(int)]
    unmasked, _, _ = _ranked(query, history.histories(compared), min(ks), hide=False)
    catalogue = {}
    for k in ks:
        catalogue[f"coverage@{k}"] = coverage(shown[k])
        catalogue[f"novelty@{k}"] = novelty(shown[k], known, history.shape[0])
        catalogue[f"gini@{k}"] = gini(shown[k])
    return Report(
        ks=tuple(ks),
        user_rows=users,
        lengths=lengths,
        per_user=per_user,
        catalogue=catalogue,
        shown=int((shown[min(ks)] > 0).sum()),
        items=n,
        distinct_lists=len(np.unique(unmasked, axis=0)),
        compared=len(compared),
        not_finite=not_finite,
        repeats=int((test.weights > 0).sum()) - len(asked),
        samples=samples,
        seed=seed,
    )


def paired_difference(a: Report, b: Report, metric: str, samples: int = SAMPLES, seed: int = SEED) -> Interval:
    """How much better `a` is than `b` in `metric`, over the users with a history, with its 95 % interval.

    Both are resampled together, so that what makes a user easy or hard cancels. Raises ValueError where the two did
    not ask the same users.
    """
    if not np.array_equal(a.user_rows, b.user_rows):
        raise ValueError("The reports are over different users.")
    difference = (a.per_user[metric] - b.per_user[metric])[a.warm]
    [interval] = intervals(difference[:, None], samples, seed)
    return interval


def popularity_thirds(known: NDArray[np.int64]) -> NDArray[np.int8]:
    """Each item's part of POPULARITY, int8 (N,): by falling users `known` (N,), cut at each third of the pairs.

    Items that nobody has are in the tail.
    """
    order = np.argsort(-known, kind="stable")
    before = np.cumsum(known[order]) - known[order]
    thirds = np.empty(len(known), dtype=np.int8)
    thirds[order] = np.minimum(3 * before // max(int(known.sum()), 1), 2)
    return thirds


def _ranked(query: Query, histories: Histories, k: int, hide: bool) -> tuple[NDArray[np.int32], NDArray[np.bool_], int]:
    """The K best rows (B, K), whether each place is worth showing, and how many users had a score that is not finite.

    What is hidden or not finite ranks last and is not worth showing.
    """
    scores = np.array(query.scores(histories), dtype=np.float32)  # a copy: queries may answer with read-only views
    finite = np.isfinite(scores)
    scores[~finite] = -np.inf
    if hide:
        scores[histories.user_rows, histories.item_rows] = -np.inf
    rows, best = top_k(scores, k)
    return rows, best > -np.inf, int((~finite.all(axis=1)).sum())
