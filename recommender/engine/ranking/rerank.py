"""Which candidates are shown, and where: relevance against novelty, within caps, rules and pins.

Maximal marginal relevance (Carbonell and Goldstein 1998): the next item is the one that maximises
balance * relevance - (1 - balance) * its largest similarity to what was taken already.

Caps say how much of a page may be of one kind. Where nothing else is left they give way, the least harmful first: one
category, one creator, newcomers, and last what stands there for a single past event. What is excluded, and limits that
people have set, never give way.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit

OUT = np.float32(-np.inf)
HARM = np.float32(4.0)  # more than gains can differ by: from -1 to 1


def rerank(
    scores: NDArray[np.float32],
    n: int,
    *,
    vectors: NDArray[np.float32] | None = None,
    categories: NDArray[np.int32] | None = None,
    creators: NDArray[np.int32] | None = None,
    new: NDArray[np.bool_] | None = None,
    causes: NDArray[np.int32] | None = None,
    balance: float = 0.8,
    per_category: float = 1.0,
    per_creator: float = 1.0,
    newcomers: float = 1.0,
    one_event: float = 1.0,
    worth: float = 0.0,
    pins: Mapping[int, int] | None = None,
    limits: Sequence[tuple[NDArray[np.bool_], int]] = (),
    excluded: NDArray[np.bool_] | None = None,
    extra: int = 0,
) -> NDArray[np.int64]:
    """Which K <= n + extra of C candidates to show, in order: positions int64 (K,) in `scores`. O(K C D).

    `scores` float32 (C,), finite, are scaled to [0, 1]; `vectors` float32 (C, D) are compared by cosine, and without
    them nothing is similar. `balance` is Carbonell and Goldstein's lambda: 1 is by score alone, 0 by novelty alone.

    Shares, from 0 to 1, of the n places: of one of `categories` or `creators` (-1 for none), of those that are `new`,
    and of those with the same one of `causes` (the past event that brings most of the score, -1 for none) no more are
    shown than their share, though always one (of `new`, none where the share is less than one place), while others are
    left that score `worth` times as much as the best.

    `pins`: by place from 1, the candidate that stands there whatever caps and limits say; it counts in them all the
    same. `limits`: of each of these masks (C,) at most so many are shown. Candidates `excluded` (C,) are not shown,
    pinned or not. Up to `extra` are taken after the page, within its caps, for callers that may want to exchange
    something. Ties by earlier candidate. Raises ValueError for a balance outside [0, 1].
    """
    if not 0 <= balance <= 1:
        raise ValueError("balance must be from 0 to 1.")
    count = len(scores)
    relevance = _relevance(scores, excluded)
    base = np.multiply(relevance, balance, dtype=np.float32)
    if excluded is not None:
        base[excluded] = OUT
    units = None if vectors is None or balance == 1 else unit(vectors) * np.float32(np.sqrt(1 - balance))
    nearest: NDArray[np.float32] | None = None  # similarity to the most similar item taken
    caps = _caps(n, categories, per_category, creators, per_creator, new, newcomers, causes, one_event)
    left = [most for _, most in limits]
    pinned: dict[int, int] = {}
    for place, index in sorted((pins or {}).items()):
        if 1 <= place <= n and base[index] > OUT and index not in pinned.values():
            pinned[place] = index
    harm: NDArray[np.float32] | None = None
    counts: list[dict[int, int]] = [{} for _ in caps]

    def take(index: int) -> None:
        nonlocal harm, nearest
        base[index] = OUT
        for (groups, most, weight), counted in zip(caps, counts, strict=True):
            group = groups.item(index)
            if group >= 0:
                counted[group] = held = counted.get(group, 0) + 1
                if held == most:
                    harm = _more(harm, groups == group, weight)
        for number, (mask, _) in enumerate(limits):
            left[number] -= int(mask[index])
            if left[number] == 0:
                base[mask] = OUT
        if units is not None:
            similarity = units @ units[index]
            nearest = similarity if nearest is None else np.maximum(nearest, similarity, out=nearest)

    for groups, most, weight in caps:
        if most == 0:
            harm = _more(harm, groups >= 0, weight)
    for index in pinned.values():
        take(index)
    for (mask, _), most in zip(limits, left, strict=True):
        if most <= 0:
            base[mask] = OUT
    taken: list[int] = []
    while len(taken) < n + extra and count:
        held = pinned.pop(len(taken) + 1, None)
        if held is not None:
            taken.append(held)
            continue
        gain = base if nearest is None else base - nearest
        if harm is not None and not (worth and _far_better(relevance, base, harm, worth)):
            gain = gain - harm
        best = int(gain.argmax())
        if gain[best] == OUT or (len(taken) >= n and harm is not None and harm[best] > 0):
            break
        taken.append(best)
        take(best)
    return np.array([*taken, *pinned.values()], dtype=np.int64)  # pins of a page shorter than they were meant for


def _relevance(scores: NDArray[np.float32], excluded: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Scaled to [0, 1] over what can be shown; all 1 where that scores alike."""
    shown = scores if excluded is None else scores[~excluded]
    if not len(shown):
        return np.ones(len(scores), dtype=np.float32)
    least = shown.min()
    span = shown.max() - least
    return np.asarray((scores - least) / span if span else np.ones(len(scores)), dtype=np.float32)


def _caps(
    n: int,
    categories: NDArray[np.int32] | None,
    per_category: float,
    creators: NDArray[np.int32] | None,
    per_creator: float,
    new: NDArray[np.bool_] | None,
    newcomers: float,
    causes: NDArray[np.int32] | None,
    one_event: float,
) -> list[tuple[NDArray[np.int32], int, np.float32]]:
    """Groups int32 (C,), those below 0 none; how many of one may be shown; and the harm of showing more. Each kind
    weighs more than all before it together."""
    kinds = (
        (categories, per_category, max(1, round(n * per_category))),
        (creators, per_creator, max(1, round(n * per_creator))),
        (None if new is None else new.astype(np.int32) - 1, newcomers, int(n * newcomers)),
        (causes, one_event, max(1, int(n * one_event))),
    )
    return [
        (groups, most, HARM * np.float32(2**number))
        for number, (groups, share, most) in enumerate(kinds)
        if groups is not None and share < 1
    ]


def _more(harm: NDArray[np.float32] | None, of: NDArray[np.bool_], weight: np.float32) -> NDArray[np.float32]:
    """The harm that each candidate does, with that of some added, (C,)."""
    added = of.astype(np.float32) * weight
    return added if harm is None else harm + added


def _far_better(
    relevance: NDArray[np.float32], base: NDArray[np.float32], harm: NDArray[np.float32], worth: float
) -> bool:
    """Whether what is left within the caps is too poor to take the place of the best that there is."""
    free = base > OUT
    within = free & (harm == 0)
    return bool(relevance[within].max(initial=-1) < worth * relevance[free].max(initial=0))
