"""Whether other people's metrics say the same of the same lists.

ours                            implicit                    RecTools
ndcg                            ndcg, the same              NDCG with divide_by_achievable, the same
recall, hit_rate, mrr           none                        the same
map, over min(R, K)             map, the same               MAP is over R: ours times min(R, K) / R is compared
sum of hits / sum of min(R, K)  precision                   none

R is how many test items a user has. All are over users with a history, as in the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.datasets import Dataset
from recommender.services.benchmarking import peers
from recommender.services.benchmarking.accuracy import Lists, Result, Setup, asked
from recommender.services.benchmarking.processes import Refusal

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

DIGITS = 4
LIMIT = 0.5 * 10**-DIGITS


@dataclass(frozen=True)
class Agreement:
    """One metric of one trainer by two libraries."""

    trainer: str
    library: str
    metric: str
    ours: float
    theirs: float

    @property
    def gap(self) -> float:
        return abs(self.ours - self.theirs)


@dataclass(frozen=True)
class _Shown:
    """What implicit's evaluation asks a model for, answered from lists."""

    lists: Lists
    place: NDArray[np.int64]

    def recommend(self, userids: NDArray[Any], user_items: Any, N: int = 10, **_: Any) -> tuple[Any, Any]:
        ids = self.lists[self.place[userids], :N]
        return ids, np.zeros(ids.shape, dtype=np.float32)


def compare(results: Sequence[Result], dataset: Dataset, setup: Setup) -> tuple[list[Agreement], str]:
    """Every metric of every result that kept its lists, by implicit and by RecTools; and a word on what is missing."""
    found: list[Agreement] = []
    missing = ""
    wanted = asked(dataset).matrix
    for result in results:
        if result.lists is None:
            continue
        report, relevant = result.report, np.diff(wanted.indptr)[result.report.user_rows]
        warm = report.warm
        users, lists, relevant = report.user_rows[warm], result.lists[warm], relevant[warm]
        theirs = by_implicit(lists, users, wanted, [k for k in setup.ks if k <= lists.shape[1]])
        ours = figures(report.per_user, warm, relevant, setup.ks)
        found += [Agreement(result.name, "implicit", name, ours[name], value) for name, value in theirs.items()]
        answer = peers.ask(
            {"task": "metrics", "ks": list(setup.ks)},
            {"users": users, "lists": lists},
            {"test": asked(dataset)},
            peers.PEER_PYTHON,
            setup,
        )
        if isinstance(answer, Refusal):
            missing = answer.reason
            continue
        pairs = answer["metrics"].items()
        found += [Agreement(result.name, "rectools", name, ours[name], value) for name, value in pairs]
    return found, missing


def figures(
    per_user: Mapping[str, NDArray[np.float64]], warm: NDArray[np.bool_], relevant: NDArray[Any], ks: Sequence[int]
) -> dict[str, float]:
    """Our means, and what the libraries define otherwise, computed from our figures of each user."""
    means = {name: float(values[warm].mean()) for name, values in per_user.items() if "." not in name}
    for k in ks:
        possible = np.minimum(relevant, k)
        hits = per_user[f"recall@{k}"][warm] * relevant
        means[f"pooled_precision@{k}"] = float(hits.sum() / possible.sum())
        means[f"map_over_relevant@{k}"] = float((per_user[f"map@{k}"][warm] * possible / relevant).mean())
    return means


def by_implicit(lists: Lists, users: NDArray[np.int32], wanted: "csr_matrix", ks: Sequence[int]) -> dict[str, float]:
    """implicit's metrics of lists int32 (V, K) of users (V,), who alone are asked for; `wanted` is (U, N)."""
    from implicit.evaluation import ranking_metrics_at_k
    from scipy.sparse import csr_matrix

    place = np.full(wanted.shape[0], -1)
    place[users] = np.arange(len(users))
    coo = wanted.tocoo()
    kept = place[coo.row] >= 0
    test = csr_matrix((coo.data[kept], (coo.row[kept], coo.col[kept])), shape=wanted.shape)
    found = {}
    for k in ks:
        theirs = ranking_metrics_at_k(_Shown(lists, place), test, test, K=k, show_progress=False)
        for name, key in (("precision", "pooled_precision"), ("ndcg", "ndcg"), ("map", "map")):
            found[f"{key}@{k}"] = float(theirs[name])
    return found


def notes(found: Sequence[Agreement], missing: str) -> list[str]:
    """The largest difference from each library, and every one that shows in four digits."""
    lines = []
    for library in dict.fromkeys(one.library for one in found):
        own = [one for one in found if one.library == library]
        worst = max(own, key=lambda one: one.gap)
        lines.append(
            f"{len(own)} metrics by {library} on the same lists: the largest difference from ours is {worst.gap:.1e} "
            f"({worst.metric} of {worst.trainer}: {worst.ours:.6f}, theirs {worst.theirs:.6f})."
        )
        lines += [
            f"  differs: {one.metric} of {one.trainer}: {one.ours:.6f}, {library} {one.theirs:.6f}"
            for one in own
            if one.gap > LIMIT
        ]
    if missing:
        lines.append(f"RecTools' metrics: {missing}")
    return lines
