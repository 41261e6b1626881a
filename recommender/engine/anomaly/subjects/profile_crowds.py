"""Crowds: the visitors who made the same of one item. A pushed or sunk item shows in its crowd before its fakes do.

Of thousands of items few are ever attacked, even where a tenth of the visitors is fake: so crowds are what outliers are
looked for among first. A crowd that was bought has come within days, is one of extreme stars, has members who look
odd and alike, and whose other items have nothing to do with this one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.subjects.profile_cells import BLAMED, PRAISED, Cells

TAKEN, PRAISE, BLAME = range(3)  # a crowd's side
LEAST = 3  # members that a crowd needs to be one
WINDOWS_S = (3 * 86_400, 14 * 86_400, 60 * 86_400)  # centred on a member's deed
NAMES = (
    "size",
    "odd",
    "odd_sum",
    "odd_top",
    "outlying",
    "outlying_sum",
    "alike",
    "strange",
    "extreme",
    "burst_3",
    "burst_14",
    "burst_60",
    "odd_low",
    "outlying_low",
)

Column = NDArray[np.float64]


def sides(cells: Cells) -> NDArray[np.int64]:
    """(C,): a cell's crowd: three for each item."""
    side = np.where(cells.acts == PRAISED, PRAISE, np.where(cells.acts == BLAMED, BLAME, TAKEN))
    return cells.item_rows.astype(np.int64) * 3 + side


@dataclass(frozen=True)
class Membership:
    """M pairs of a crowd and a member's cell; a gang of decoys and the real crowd that it joins are a crowd of their
    own."""

    crowds: NDArray[np.int64]
    """(M,): from 0, sorted."""
    cells: NDArray[np.int64]
    """(M,)"""
    keys: NDArray[np.int64]
    """(K,): each crowd's item and side: item * 3 + side."""
    gangs: NDArray[np.int64]
    """(K,): the gang that joined, -1 where none."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.bincount(self.crowds, minlength=len(self.keys))


def gather(
    cells: Cells,
    real: NDArray[np.bool_],
    gang_of: NDArray[np.int64],
    aims: NDArray[np.int64],
    aim_gangs: NDArray[np.int64],
) -> Membership:
    """`gang_of` (U,): -1 for real visitors; `aims` (A,) items of the gangs `aim_gangs` (A,)."""
    side = sides(cells)
    order = np.argsort(side, kind="stable")
    own = order[real[cells.visitor_rows[order]]]
    keys, firsts, counts = np.unique(side[own], return_index=True, return_counts=True)
    crowd = np.repeat(np.arange(len(keys)), counts)
    # What decoys did with their gang's aims, by gang and side.
    fake = np.flatnonzero(~real[cells.visitor_rows])
    aimed = np.isin(
        gang_of[cells.visitor_rows[fake]] * cells.items + cells.item_rows[fake], aim_gangs * cells.items + aims
    )
    fake = fake[aimed]
    joint, which = np.unique(gang_of[cells.visitor_rows[fake]] * (3 * cells.items) + side[fake], return_inverse=True)
    joined = joint % (3 * cells.items)
    at = np.minimum(np.searchsorted(keys, joined), max(len(keys) - 1, 0))
    there = np.where(keys[at] == joined, counts[at], 0) if len(keys) else np.zeros(len(joined), np.int64)
    copies = np.repeat(firsts[at] - (np.cumsum(there) - there), there) + np.arange(there.sum())
    crowds = np.concatenate((crowd, len(keys) + np.repeat(np.arange(len(joint)), there), len(keys) + which))
    members = np.concatenate((own, own[copies], fake))
    gangs = np.concatenate((np.full(len(keys), -1), joint // (3 * cells.items)))
    order = np.argsort(crowds, kind="stable")
    return Membership(crowds[order], members[order], np.concatenate((keys, joined)), gangs)


@dataclass(frozen=True)
class Crowds:
    values: NDArray[np.float32]
    """(K, 14): NAMES."""
    bursts: NDArray[np.float32]
    """(M, 3): how surprising it is that so many of the crowd came around the same time, by WINDOWS_S."""


def measure(
    cells: Cells,
    members: Membership,
    odd: Column,
    outlying: Column,
    looks: NDArray[np.float32],
    strange: NDArray[np.float32],
    all_times: NDArray[np.int64],
) -> Crowds:
    """`odd`, `outlying` (U,): how like a decoy, and how unlike others, each visitor looks by himself, about standard
    normal; `looks` (U, F) what he looks like;
    `strange` (C,); `all_times` sorted: when anybody did anything."""
    crowds, count = members.crowds, len(members.keys)
    size = members.sizes.astype(np.float64)
    who = cells.visitor_rows[members.cells]

    def mean(values: NDArray[Any]) -> Column:
        known = np.isfinite(values)
        return np.bincount(crowds[known], values[known], count) / np.maximum(
            np.bincount(crowds[known], minlength=count), 1
        )

    oddness = mean(odd[who])
    top = mean((odd[who] > 1.5).astype(np.float64))
    spread = np.zeros(count)
    for column in range(looks.shape[1]):
        values = looks[who, column].astype(np.float64)
        middle = mean(values)
        spread += mean((values - middle[crowds]) ** 2)
    alike = -np.log(spread * size / np.maximum(size - 1, 1) / max(looks.shape[1], 1) + 0.05)
    bursts = _bursts(cells.times[members.cells], members, all_times) if cells.timed else np.zeros((len(crowds), 3))
    best = np.stack([_largest(bursts[:, window], crowds, count) for window in range(3)], axis=1)
    values = np.column_stack(
        (
            np.log(np.maximum(size, 1)),
            oddness,
            oddness * np.sqrt(size),
            top * np.sqrt(size),
            (far := mean(outlying[who])),
            far * np.sqrt(size),
            alike,
            mean(strange[members.cells]),
            _extreme(cells, members),
            np.log1p(best),
            _low(odd[who], members),
            _low(outlying[who], members),
        )
    )
    return Crowds(values.astype(np.float32), bursts.astype(np.float32))


def _largest(values: NDArray[Any], groups: NDArray[np.int64], count: int) -> Column:
    found = np.zeros(count)
    np.maximum.at(found, groups, values)
    return found


def _low(values: Column, members: Membership) -> Column:
    """(K,): the lower quartile of each crowd: high only where most of a crowd is."""
    order = np.lexsort((values, members.crowds))
    sizes = members.sizes
    return values[order][np.cumsum(sizes) - sizes + sizes // 4]


def _extreme(cells: Cells, members: Membership) -> Column:
    """By how many standard deviations the crowd is a larger part of its item's ratings than on other items; 0 for
    those who did not rate."""
    side = members.keys % 3
    item = members.keys // 3
    real = members.gangs < 0
    sizes = members.sizes.astype(np.float64)
    rated = cells.rated[members.cells]
    count = np.bincount(members.crowds[rated], minlength=len(sizes)).astype(np.float64)
    own_total = np.bincount(item[real], count[real], cells.items)
    added = np.zeros(len(sizes))  # what a gang adds to its item's ratings
    at = np.searchsorted(members.keys[real], members.keys)
    at = np.minimum(at, max(int(real.sum()) - 1, 0))
    before = np.where(members.keys[real][at] == members.keys, count[real][at], 0) if real.any() else 0
    added[~real] = (count - before)[~real]
    total = own_total[item] + added
    found = np.zeros(len(sizes))
    for which in (PRAISE, BLAME):
        mine = side == which
        base = mine & real & (total >= 10)
        if not base.any():
            continue
        share = count[base].sum() / total[base].sum()
        wide = np.var(count[base] / total[base])
        expected = total[mine] * share
        deviation = np.sqrt(total[mine] * share * (1 - share) + total[mine] ** 2 * wide + 0.5)
        found[mine] = (count[mine] - expected) / deviation
    return found


def _bursts(times: NDArray[np.int64], members: Membership, all_times: NDArray[np.int64]) -> Column:
    """(M, 3): the log likelihood ratio that so many others of the crowd came in a window around a member's deed, as
    against the shop's traffic at that time."""
    order = np.lexsort((times, members.crowds))
    crowds, when = members.crowds[order], times[order]
    origin = int(all_times[0]) if len(all_times) else 0
    width = int(all_times[-1]) - origin + 4 * WINDOWS_S[-1] if len(all_times) else 1
    axis = crowds * width + (when - origin) + 2 * WINDOWS_S[-1]  # crowds one behind the other
    others = np.maximum(members.sizes[crowds] - 1, 0)
    found = np.zeros((len(times), len(WINDOWS_S)))
    for place, window in enumerate(WINDOWS_S):
        half = window // 2
        near = np.searchsorted(axis, axis + half, side="right") - np.searchsorted(axis, axis - half) - 1
        traffic = np.searchsorted(all_times, when + half, side="right") - np.searchsorted(all_times, when - half)
        expected = others * np.clip(traffic / max(len(all_times), 1), 1e-6, 1) + 0.1
        surprise = near * np.log(np.maximum(near, 1) / expected) - (near - expected)
        found[order, place] = np.where(near > expected, surprise, 0)
    return found
