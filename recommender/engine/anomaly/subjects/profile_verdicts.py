"""From odds to verdicts: how sure, of what kind, about which items, with whom."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import NO_GROUP
from recommender.engine.anomaly.subjects import profile_crowds
from recommender.engine.anomaly.subjects.profile_cells import BOUGHT, Cells
from recommender.engine.anomaly.subjects.profile_rounds import Judged

PUSH, NUKE, SCRAPER, PUMP = "push", "nuke", "scraper", "pump"
PRIOR, LEAST_PRIOR = 0.01, 0.0005  # share of fakes: to begin with, and at least
MOST_SHARE = 0.5  # of fakes
MOST_LOCAL = 0.25  # of a crowd: less, because its members' odds know of the crowd already
PASSES = 50  # of learning that share
ALONE = 0.7  # the most that is believed of someone who pushes or sinks with nobody else: he moves no ranking
ATTACKED = (30, 0.5)  # suspicious members of a crowd, and their share of it: a small one tells little of each
COMPANY = 2  # others in the same crowd, found too
WORTH = 0.5
TOGETHER = (2, 0.95)  # others who came to the same opinions at the same time, and what is believed then
WALK_ITEMS = 40  # that a scraper sees at least
WALK_EVEN = 0.35  # spread of the logs of his pauses, where people's is about 1
WALK_CHOSEN = 0.1  # share of its items, at most, that a scraper buys or rates
REPEATS, USUAL_REPEATS = (
    8,
    0.995,
)  # times that a pump comes back to an item: at least, and than which share of all pairs
PUMP_S = 45 * 86_400  # within which it all happens
FELLOW_S = 15 * 86_400  # between the first deeds of those who pump together
PUMP_SHARE = 0.35  # of all that it does
MOST_TARGETS = 5
TIES = 3  # targets of a visitor that tie him to others


@dataclass(frozen=True)
class Verdicts:
    probabilities: NDArray[np.float64]
    """(U,)"""
    kinds: list[str]
    targets: dict[int, list[int]]
    """Item rows by visitor."""
    groups: NDArray[np.int64]
    company: NDArray[np.int64]
    """(U,): others in the same group."""


def share_of_fakes(odds: NDArray[np.float64]) -> float:
    """By expectation and maximisation (Saerens, Latinne, Decaestecker 2002): odds are those at even shares."""
    share = PRIOR
    for _ in range(PASSES):
        share = min(max(float(_believed(odds, share).mean()), LEAST_PRIOR), MOST_SHARE)
    return share


def _believed(odds: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(odds + np.log(share / (1 - share)), -500, 500)))


def _among_fellows(
    cells: Cells, odds: NDArray[np.float64], probabilities: NDArray[np.float64], share: float, count: int
) -> NDArray[np.float64]:
    """(U,): what is believed where more of those on the same side of an item are fake than of all visitors.

    That share is learned for each crowd from its own members' odds, as for all. A crowd must be ATTACKED: several of it
    are suspicious already, and not just here and there one of many.
    """
    found = np.zeros(count)
    side = profile_crowds.sides(cells)
    mine = np.flatnonzero(cells.visitor_rows < count)
    number = 3 * cells.items
    suspects = np.bincount(side[mine], probabilities[cells.visitor_rows[mine]] >= WORTH, number)
    sizes = np.bincount(side[mine], minlength=number)
    attacked = (suspects >= ATTACKED[0]) & (suspects >= ATTACKED[1] * sizes)
    for crowd in np.flatnonzero(attacked).tolist():
        members = np.unique(cells.visitor_rows[mine[side[mine] == crowd]])
        local = min(share_of_fakes(odds[members]), MOST_LOCAL)
        if local > share:
            found[members] = np.maximum(found[members], _believed(odds[members], local))
    return found


def decide(cells: Cells, judged: Judged, count: int) -> Verdicts:
    """Of the first `count` visitors, the real ones."""
    busy = cells.sizes[:count] > 0
    odds = judged.odds[:count]
    probabilities = np.zeros(count)
    share = share_of_fakes(odds[busy])
    probabilities[busy] = _believed(odds[busy], share)
    probabilities = np.maximum(probabilities, _among_fellows(cells, odds, probabilities, share, count))
    walk, pump = _walks(cells, judged)[:count], _pumps(cells)[:count]
    together = (judged.partners[:count, 0] >= np.log1p(TOGETHER[0])) & (judged.partners[:count, 1] >= 2)
    probabilities[together] = np.maximum(probabilities[together], TOGETHER[1])

    probabilities = np.maximum(probabilities, np.maximum(walk, pump))
    aimed = _targets(cells, probabilities, pump)
    kinds = [""] * count
    side = profile_crowds.sides(cells) % 3
    for row in np.flatnonzero(probabilities >= WORTH).tolist():  # the suspicious few
        if walk[row] >= max(pump[row], WORTH):
            kinds[row] = SCRAPER
            aimed.pop(row, None)
        elif pump[row] >= WORTH:
            kinds[row] = PUMP
        else:
            about = side[aimed.get(row, judged.top_cells[[row]])]
            kinds[row] = NUKE if 2 * (about == profile_crowds.BLAME).sum() >= len(about) else PUSH
    targets = {row: cells.item_rows[own].tolist() for row, own in aimed.items() if kinds[row]}
    # Those who came together are a group of their own, whoever else shares an item with them.
    bands = [f"{kind} {close}" for kind, close in zip(kinds, together.tolist(), strict=True)]
    groups, company = _groups(targets, bands, count)
    lonely = (company < COMPANY) & ~together & (np.maximum(walk, pump) < WORTH)
    probabilities[lonely] = np.minimum(probabilities[lonely], ALONE)
    return Verdicts(probabilities, kinds, targets, groups, company)


def _walks(cells: Cells, judged: Judged) -> NDArray[np.float64]:
    """(U,): who goes from item to item as evenly as a clock, and hardly looks at anything twice."""
    columns = judged.measured.columns
    if "unevenness" not in columns:
        return np.zeros(cells.visitors)
    even = np.nan_to_num(columns["unevenness"], nan=9.0)
    long = np.expm1(np.nan_to_num(columns["deeds_a_visit"]))
    chosen = np.bincount(cells.visitor_rows, cells.acts >= BOUGHT, cells.visitors) / np.maximum(cells.sizes, 1)
    odds = 8 * (WALK_EVEN - even) + 2 * np.log(np.maximum(long, 1) / 20)
    walks = (cells.sizes >= WALK_ITEMS) & (even < WALK_EVEN) & (chosen <= WALK_CHOSEN)
    return np.where(walks, 1 / (1 + np.exp(-odds)), 0.0)


def _pumps(cells: Cells) -> NDArray[np.float64]:
    """(U,): who comes back to the same one to three items over and over and never buys them."""
    often = _often(cells)
    number = np.bincount(cells.visitor_rows, often, cells.visitors)
    deeds = np.bincount(cells.visitor_rows, cells.deeds * often, cells.visitors)
    share = deeds / np.maximum(np.bincount(cells.visitor_rows, cells.deeds, cells.visitors), 1)
    # Honest people come back to an item too, but not in company that begins in the same days.
    most = np.zeros(cells.visitors)
    np.maximum.at(most, cells.visitor_rows[often], _fellows(cells, np.flatnonzero(often)))
    odds = 1.5 * np.minimum(most, 4) + 6 * (share - PUMP_SHARE) - 1.5
    return np.where((number > 0) & (number <= 3) & (most >= COMPANY), 1 / (1 + np.exp(-odds)), 0.0)


def _often(cells: Cells) -> NDArray[np.bool_]:
    """(C,): items that a visitor came back to strangely often within few days, and never bought."""
    if not cells.timed:
        return np.zeros(len(cells), np.bool_)
    usual = float(np.quantile(cells.deeds, USUAL_REPEATS)) if len(cells) else 0.0
    brief = cells.lasts - cells.times <= PUMP_S
    return brief & (cells.deeds >= max(REPEATS, usual)) & ~cells.rated & (cells.acts != BOUGHT)


def _fellows(cells: Cells, often: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many others came back to the same item as often, and began within FELLOW_S of each."""
    order = np.lexsort((cells.times[often], cells.item_rows[often]))
    times = cells.times[often][order]
    origin = int(times.min()) if len(times) else 0
    width = (int(times.max()) - origin if len(times) else 0) + 2 * FELLOW_S + 1
    axis = cells.item_rows[often][order].astype(np.int64) * width + times - origin
    found = np.empty(len(often), np.int64)
    found[order] = np.searchsorted(axis, axis + FELLOW_S, side="right") - np.searchsorted(axis, axis - FELLOW_S) - 1
    return found


def _targets(
    cells: Cells, probabilities: NDArray[np.float64], pump: NDArray[np.float64]
) -> dict[int, NDArray[np.int64]]:
    """By visitor worth a look, cells: of the crowds that many of the suspicious are in, beside how many honest ones."""
    count = len(probabilities)
    side = profile_crowds.sides(cells)
    real = cells.visitor_rows < count
    worth = np.zeros(cells.visitors, np.bool_)
    worth[:count] = (probabilities >= WORTH) | (pump >= WORTH)
    pumping = np.zeros(cells.visitors, np.bool_)
    pumping[:count] = pump >= WORTH
    weight = np.zeros(cells.visitors)
    weight[:count] = probabilities
    all_of = np.bincount(side[real], minlength=3 * cells.items)
    bad = np.bincount(side[real], weight[cells.visitor_rows[real]], 3 * cells.items)
    pure = bad**1.5 / (all_of + 2.0)  # many, and mostly of the suspicious
    mine = np.flatnonzero(worth[cells.visitor_rows])
    often = _often(cells) & pumping[cells.visitor_rows]
    score = np.where(often, 1e6, pure[side])[mine]
    order = mine[np.lexsort((-score, cells.visitor_rows[mine]))]
    rank = np.arange(len(order)) - np.searchsorted(cells.visitor_rows[order], cells.visitor_rows[order])
    best = np.zeros(cells.visitors)
    np.maximum.at(best, cells.visitor_rows[mine], score)
    final = np.where(often, 1e6, pure[side])[order]
    keep = (rank < MOST_TARGETS) & (final >= 0.5 * best[cells.visitor_rows[order]]) & (bad[side[order]] >= 1.5)
    keep |= often[order]
    kept = order[keep]
    rows, firsts = np.unique(cells.visitor_rows[kept], return_index=True)
    return dict(zip(rows.tolist(), np.split(kept, firsts[1:]), strict=True)) if len(kept) else {}


def _groups(targets: dict[int, list[int]], bands: list[str], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(U,): those of one band whose first targets are connected; and how many others each group has."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    groups, company = np.full(count, NO_GROUP, np.int64), np.zeros(count, np.int64)
    if not targets:
        return groups, company
    rows = np.array(list(targets))
    pairs = [(place, (bands[row], item)) for place, row in enumerate(rows.tolist()) for item in targets[row][:TIES]]
    known = {aim: place for place, aim in enumerate(dict.fromkeys(aim for _, aim in pairs))}
    size = len(rows) + len(known)
    left = [place for place, _ in pairs]
    right = [len(rows) + known[aim] for _, aim in pairs]
    graph = coo_matrix((np.ones(len(pairs)), (np.array(left), np.array(right))), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][: len(rows)].astype(np.int64)
    sizes = np.bincount(labels)
    groups[rows] = np.where(sizes[labels] > 1, labels, NO_GROUP)
    company[rows] = sizes[labels] - 1
    return groups, company
