"""What might stand on a visitor's list: several sources, each within its time, mixed by what was learned.

A source that the mixer gives no weight is not asked, unless the others leave places empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.model import LiveModel
from recommender.engine.ranking import explain, sources
from recommender.engine.ranking.sources import DEPTHS, NOTHING, SOURCES, Ranked
from recommender.services import clusters, mixing, newcomers, trending
from recommender.services.content import vectors
from recommender.services.histories import History
from recommender.services.serving.choosing import Candidates, Terms
from recommender.services.serving.deadlines import Budget
from recommender.services.serving.narrowing import narrowed

PAGE = 10  # results that the depths of sources are meant for


def told(model: LiveModel, past: History) -> Histories:
    """The part of a history that the model knows the items of."""
    rows = model.items.rows(past.item_ids)
    known = rows != UNKNOWN
    return Histories.single(rows[known], past.weights[known], past.times[known])


def speaks(known: Histories) -> bool:
    """Whether anything in a history speaks for anything."""
    if not (known.weights < 0).any():
        return bool((known.weights > 0).any())
    _, place = np.unique(known.item_rows, return_inverse=True)
    return bool((np.bincount(place, weights=known.weights) > 0).any())


@dataclass
class _Rows:
    """Rows of things that the model may not know: those come after its own."""

    model: LiveModel
    others: list[str]
    numbers: dict[str, int]

    def of(self, item_ids: Sequence[str]) -> NDArray[np.int32]:
        rows = self.model.items.rows(item_ids)
        for place in np.flatnonzero(rows == UNKNOWN).tolist():
            rows[place] = self._other(item_ids[place])
        return rows

    def _other(self, item_id: str) -> int:
        if item_id not in self.numbers:
            self.numbers[item_id] = len(self.model) + len(self.others)
            self.others.append(item_id)
        return self.numbers[item_id]

    def ids(self, rows: NDArray[np.int32]) -> list[str]:
        n = len(self.model)
        known = iter(self.model.items.ids(rows[rows < n]))
        return [next(known) if row < n else self.others[row - n] for row in rows.tolist()]


class _Sources:
    """The sources of one answer; each method named like its source gives rows and scores, best first."""

    def __init__(self, model: LiveModel, past: History, known: Histories, n: int, terms: Terms) -> None:
        self.model, self.past, self.known, self.n, self.terms = model, past, known, n, terms
        self.rows = _Rows(model, [], {})
        self.depths = {name: -(-depth * max(n, PAGE) // PAGE) for name, depth in DEPTHS.items()}
        self.allowed = narrowed(model, terms.category, terms.condition) if terms.category or terms.condition else None
        shut_out = model.items.rows(list(terms.exclude))
        self.banned = np.unique(shut_out[shut_out != UNKNOWN])
        if self.allowed is not None:
            self.banned = np.union1d(self.banned, np.flatnonzero(~self.allowed.mask)).astype(np.int32)
        self.space = vectors.space("fused")  # here, not within a source: it may look at the database

    def named(self, name: str) -> tuple[str, Callable[[], Ranked]]:
        return name, getattr(self, f"of_{name}")

    def left(self, name: str, found: Ranked) -> Ranked:
        """What may be offered of a list, as deep as it is asked for."""
        kept = ~sources.among(found[0], self.banned)
        if self.allowed is not None:
            for place in np.flatnonzero(kept & (found[0] >= len(self.model))).tolist():
                kept[place] = self.rows.others[found[0][place] - len(self.model)] in self.allowed.item_ids
        return found[0][kept][: self.depths[name]], found[1][kept][: self.depths[name]]

    def fresh(self, scores: NDArray[np.float32]) -> newcomers.Best:
        """What the model does not know, on the scale of its `scores`."""
        allowed = None if self.allowed is None else self.allowed.item_ids
        return newcomers.beside(self.model, self.known, self.n, scores, allowed, self.terms.exclude)

    def of_model(self) -> Ranked:
        found, scores = self.model.recommend(self.known, self.depths["model"], exclude_rows=self.banned)
        return _cut(found[0], scores[0])

    def of_similar(self) -> Ranked:
        known = self.model.similar_index is None
        beside = sources.one_by_one(self.model.similar) if known else self.model.beside
        return sources.similar_to_recent(self.known, self.depths["similar"], beside)

    def of_together(self) -> Ranked:
        arrays = self.model.artifact.arrays
        rows, scores = arrays["together/rows"], arrays["together/scores"]
        return sources.together_with_recent(self.known, self.depths["together"], rows, scores)

    def of_content(self) -> Ranked:
        found, cosines, _ = newcomers.like_history(self.past, self.depths["content"], self.terms.exclude, self.space)
        return self.rows.of(found), cosines

    def of_trending(self) -> Ranked:
        found, scores = trending.trending(self.terms.category)
        most = self.depths["trending"] + len(self.terms.exclude)
        return self.rows.of(found[:most]), scores[:most]

    def of_new(self) -> Ranked:
        found = trending.newest()[: self.depths["new"] + len(self.terms.exclude)]
        return self.rows.of(found), np.arange(len(found), 0, -1, dtype=np.float32)

    def of_cluster(self) -> Ranked:
        groups = clusters.of(self.model)
        segment = None if groups is None else groups.segment(self.known)
        if groups is None or segment is None:
            return NOTHING
        return _cut(groups.favourites[segment], groups.takers[segment].astype(np.float32))

    def of_popular(self) -> Ranked:
        most = self.depths["popular"] + len(self.terms.exclude)
        return self.model.popular(most if self.allowed is None else len(self.model))


def gather(model: LiveModel, past: History, known: Histories, n: int, terms: Terms) -> tuple[str, Candidates]:
    """Candidates for a visitor whose history the model knows `known` of, best first; and the tier that they make:
    model, similar where that did not answer but its neighbours do, or none."""
    mixer, budget, there = mixing.of(model), Budget(terms.settings), _Sources(model, past, known, n, terms)
    lists = budget.all(there.named(name) for name in SOURCES if name == "model" or name in mixer.wanted)
    fresh = there.fresh(lists.get("model", NOTHING)[1])
    if fresh.item_ids:  # their scores are on the model's scale, so they take their places on its list
        lists["model"] = _together(lists.get("model", NOTHING), (there.rows.of(fresh.item_ids), fresh.scores))
    lists = {name: there.left(name, listed) for name, listed in lists.items()}
    if len({row for found, _ in lists.values() for row in found.tolist()}) < n:
        # With a time of its own: what is left of the first may be too little for a whole list.
        others = Budget(terms.settings).all(there.named(name) for name in SOURCES if name not in lists)
        lists |= {name: there.left(name, listed) for name, listed in others.items()}
    answered = {name for name, (found, _) in lists.items() if len(found)}
    tier = "model" if "model" in answered else "similar" if answered & {"similar", "together"} else ""
    pool = sources.merge(lists)
    scores, source = mixer.score(pool)
    order = np.argsort(-scores, kind="stable")
    ordered = pool.rows[order]
    new = ordered >= len(model)

    def causes(places: NDArray[np.int64]) -> list[str | None]:
        behind = np.full(len(places), UNKNOWN, dtype=np.int32)
        own = ~new[places]
        behind[own] = explain.causes(model.query, known, ordered[places[own]], least=0)
        ids = {row: model.items.id(row) for row in set(behind.tolist()) - {UNKNOWN}}
        return [ids.get(row) for row in behind.tolist()]

    names = [
        "new" if newcomer else SOURCES[number]
        for number, newcomer in zip(source[order].tolist(), new.tolist(), strict=True)
    ]
    placed = _vectors(model, ordered, fresh, there.rows)
    return tier, Candidates(there.rows.ids(ordered), scores[order], names, placed, new, causes)


def _cut(rows: NDArray[np.int32], scores: NDArray[np.float32]) -> Ranked:
    there = rows != UNKNOWN
    return rows[there], scores[there]


def _together(one: Ranked, other: Ranked) -> Ranked:
    """Two lists of one scale as one, best first."""
    found, scores = np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1]))
    order = np.argsort(-scores, kind="stable")
    return found[order], scores[order]


def _vectors(
    model: LiveModel, ordered: NDArray[np.int32], fresh: newcomers.Best, rows: _Rows
) -> NDArray[np.float32] | None:
    """(C, D) of the candidates, 0 where nothing places one; None where the model has no vectors."""
    known = model.query.item_vectors
    if known is None:
        return None
    found = np.zeros((len(ordered), known.shape[1]), dtype=np.float32)
    own = ordered < len(model)
    found[own] = known[ordered[own]]
    if len(fresh.vectors):
        placed = dict(zip(fresh.item_ids, fresh.vectors, strict=True))
        for place in np.flatnonzero(~own).tolist():
            found[place] = placed.get(rows.others[ordered[place] - len(model)], 0)
    return found
