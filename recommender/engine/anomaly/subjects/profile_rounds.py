"""Judging in rounds: the visitors by themselves, then the crowds, then the visitors by the crowds they are in.

Those who are found are taken out of what is usual, and all is judged again: so a large attack cannot pass for normal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import detector
from recommender.engine.anomaly.subjects import profile_crowds, profile_features
from recommender.engine.anomaly.subjects.profile_cells import Cells, Deeds, cells_of
from recommender.engine.anomaly.subjects.profile_crowds import Crowds, Membership
from recommender.engine.anomaly.subjects.profile_decoys import Decoys
from recommender.engine.anomaly.subjects.profile_features import Measured
from recommender.engine.anomaly.subjects.profile_judging import REACH, Scale, line, odds
from recommender.engine.options import Options, Progress, no_progress

ROUNDS = 4
SUSPECT, SUSPECTS = 1.0, 0.002  # log odds and share of the crowds whose members do not tell what is usual
MOST_IN_CROWD, MOST_LEFT_OUT = 0.2, 0.4  # of the visitors
LEAST_SHARE = 0.004  # of the visitors: smaller crowds do not change what is usual
MOST_CROWDS = 12
TOP = 3  # crowds by each measure
BURST, MOST_BURST = 5.0, 300  # log likelihood ratio, and members
BENT = 0.5  # weight of what can bend, among what judges cells
TREES = 100
REAL_CELLS = 30_000  # to learn from
CALM = 30.0
FAR = 20.0  # standard deviations of crowds that count; lines are learned within REACH, which decoys hardly leave

Column = NDArray[np.float64]


@dataclass(frozen=True)
class Shop:
    """What is judged: real visitors, and decoys behind them."""

    cells: Cells
    deeds: Deeds
    real: NDArray[np.bool_]
    """(U,)"""
    decoys: Decoys
    seed: int

    @classmethod
    def of(cls, deeds: Deeds, decoys: Decoys, seed: int) -> "Shop":
        count = len(decoys.gangs)
        both = Deeds(
            deeds.visitors + count,
            deeds.items,
            np.concatenate((deeds.visitor_rows, decoys.visitor_rows + deeds.visitors)),
            np.concatenate((deeds.item_rows, decoys.item_rows)),
            np.concatenate((deeds.kinds, decoys.kinds)),
            np.concatenate((deeds.values, decoys.values)),
            np.concatenate((deeds.times, decoys.times)),
        )
        real = np.arange(both.visitors) < deeds.visitors
        return cls(cells_of(both), both, real, decoys, seed)


@dataclass(frozen=True)
class Judged:
    measured: Measured
    names: tuple[str, ...]
    z: NDArray[np.float64]
    """(U, F)"""
    weights: NDArray[np.float64]
    """(F+1,): of z, in telling decoys from others."""
    alone: Column
    """(U,): how like a decoy by the visitor's own features, in standard deviations."""
    outlying: Column
    """(U,): how unlike others by them."""
    members: Membership
    crowds: Crowds
    crowd_odds: Column
    """(K,)"""
    cell_odds: Column
    """(C,)"""
    evidence: NDArray[np.float64]
    """(U, 2): what the visitor's crowds say."""
    top_cells: NDArray[np.int64]
    """(U,): the cell in the most suspicious crowd, -1 where none."""
    partners: NDArray[np.float64]
    """(U, 2): how many others came to the same two crowds or more within days, log of 1 + that; to how many of them."""
    left_out: NDArray[np.bool_]
    """(U,): members of suspicious crowds."""
    odds: Column
    """(U,): all together."""


def judge(shop: Shop, progress: Progress = no_progress) -> Judged:
    busy = shop.real & (shop.cells.sizes > 0)
    trusted = busy
    for number in range(ROUNDS):
        progress((number + 0.5) / (ROUNDS + 1), f"round {number + 1} of {ROUNDS}")
        found = _round(shop, trusted, busy, number == ROUNDS - 1)
        if number < ROUNDS - 1:
            trusted = busy & ~found.left_out
    return found


def _suspects(shop: Shop, members: Membership, crowds: Crowds, odds_of: Column) -> NDArray[np.bool_]:
    """(U,): members of the crowds that stand out most, by the odds or by any one measure. Few of them need be fake: to
    leave out honest visitors of a few items does not change what is usual, to leave many fakes in does."""
    count = int(shop.real.sum())
    sizes = members.sizes
    real = members.gangs < 0
    some = np.flatnonzero(
        real & (sizes >= max(profile_crowds.LEAST, LEAST_SHARE * count)) & (sizes <= MOST_IN_CROWD * count)
    )
    left_out = np.zeros(shop.cells.visitors, np.bool_)
    if not len(some):
        return left_out
    bar = max(SUSPECT, float(np.quantile(odds_of[real], 1 - SUSPECTS)))
    likely = some[odds_of[some] >= bar]
    z = Scale.of(crowds.values[some], np.log(sizes[some])).z(crowds.values[some], np.log(sizes[some]), np.inf)
    tops = [some[np.argsort(-z[:, column])][:TOP] for column in range(1, z.shape[1])]
    tops = [likely[np.argsort(-odds_of[likely])][:MOST_CROWDS], *tops]
    ranks = np.concatenate([np.arange(len(top)) for top in tops])  # the first of each, then the second of each
    for crowd in np.concatenate(tops)[np.argsort(ranks, kind="stable")].tolist():
        low, high = np.searchsorted(members.crowds, [crowd, crowd + 1])
        left_out[shop.cells.visitor_rows[members.cells[low:high]]] = True
        if left_out.sum() > MOST_LEFT_OUT * count:
            break
    return left_out


def _round(shop: Shop, trusted: NDArray[np.bool_], busy: NDArray[np.bool_], last: bool) -> Judged:
    """`trusted`: whom to learn from what is usual; `busy`: who is there."""
    cells, real = shop.cells, shop.real
    there = cells.sizes > 0
    told = (trusted | ~real) & there
    measured = profile_features.measure(cells, shop.deeds, trusted)
    names = tuple(measured.columns)
    values = np.stack(list(measured.columns.values()), axis=1).astype(np.float32)
    sizes = np.log1p(cells.sizes.astype(np.float64))
    z = Scale.of(values[trusted], sizes[trusted]).z(values, sizes)
    z[:, names.index("items")] = (sizes - sizes[trusted].mean()) / max(sizes[trusted].std(), 1e-6)
    weights = line(z[told], ~real[told])
    alone = odds(z, weights)

    odd = _standard(alone, trusted)
    outlying = _standard(_outlying(z, trusted, shop.seed), trusted)
    gang_of = np.concatenate((np.full(int(real.sum()), -1), shop.decoys.gangs))
    aims = np.concatenate([rows for _, rows in shop.decoys.targets])
    aim_gangs = np.repeat(np.arange(len(shop.decoys.targets)), [len(rows) for _, rows in shop.decoys.targets])
    members = profile_crowds.gather(cells, busy, gang_of, aims, aim_gangs)
    times = np.sort(shop.deeds.times[real[shop.deeds.visitor_rows]])
    crowds = profile_crowds.measure(cells, members, odd, outlying, z.astype(np.float32), measured.strange, times)
    crowd_odds = _crowd_odds(members, crowds)
    left_out = _suspects(shop, members, crowds, crowd_odds)
    nothing = np.zeros(0)
    cell_odds = evidence = partners = whole = nothing
    top = np.zeros(0, np.int64)
    if last:
        cell_odds = _cell_odds(cells, real, members, crowds, crowd_odds, odd, outlying, measured, shop.seed)
        evidence, top = _evidence(cells, cell_odds)
        evidence = np.column_stack((evidence, _standing(cells, members, crowd_odds, top)))
        partners = _partners(cells, real, members, crowds)
        whole = _whole(shop, busy, odd, outlying, evidence, partners, left_out)
    return Judged(
        measured,
        names,
        z,
        weights,
        odd,
        outlying,
        members,
        crowds,
        crowd_odds,
        cell_odds,
        evidence,
        top,
        partners,
        left_out,
        whole,
    )


def _whole(
    shop: Shop,
    busy: NDArray[np.bool_],
    odd: Column,
    outlying: Column,
    evidence: NDArray[np.float64],
    partners: NDArray[np.float64],
    left_out: NDArray[np.bool_],
) -> Column:
    there = shop.cells.sizes > 0
    sizes = np.log1p(shop.cells.sizes)
    plain = busy & ~left_out
    told = (plain | ~shop.real) & there

    def judged(*columns: Column) -> Column:
        rows = np.column_stack(columns).astype(np.float32)
        scaled = Scale.of(rows[plain], np.zeros(int(plain.sum()))).z(rows, np.zeros(len(rows)))
        return odds(scaled, line(scaled[told], ~shop.real[told]))

    # Either is enough: to look like a decoy, or to be in a crowd that was bought.
    whole = np.logaddexp(judged(odd, outlying, sizes), judged(evidence[:, 0], partners[:, 0], sizes)) - np.log(2)
    return np.where(there, whole, -CALM)


def _standard(scores: Column, trusted: NDArray[np.bool_]) -> Column:
    middle = np.median(scores[trusted])
    width = 1.4826 * np.median(np.abs(scores[trusted] - middle))
    return np.clip((scores - middle) / max(float(width), 1e-6), -4, 8)


def _outlying(z: NDArray[np.float64], trusted: NDArray[np.bool_], seed: int) -> Column:
    """(U,): by an isolation forest, which knows of no decoys."""
    kind = detector("isolation_forest")
    config = kind.Config(trees=TREES)
    rows = z.astype(np.float32)
    return kind.open(kind.fit(rows[trusted], config, Options(seed=seed)), config).scores(rows)


def _crowd_odds(members: Membership, crowds: Crowds) -> Column:
    """(K,): log odds that a crowd was bought, against decoys' crowds; low where there are too few members."""
    enough = members.sizes >= profile_crowds.LEAST
    fake = members.gangs >= 0
    found = np.full(len(members.keys), -8.0)
    real = enough & ~fake
    if real.sum() < 10 or (enough & fake).sum() < 5:
        return found
    sizes = crowds.values[:, 0].astype(np.float64)
    far = Scale.of(crowds.values[real], sizes[real]).z(crowds.values, sizes, FAR)
    far[:, 0] = sizes / 3
    near = np.clip(far, -REACH, REACH)
    found[enough] = odds(far[enough], line(near[enough], fake[enough]))
    return found


def _cell_odds(
    cells: Cells,
    real: NDArray[np.bool_],
    members: Membership,
    crowds: Crowds,
    crowd_odds: Column,
    odd: Column,
    outlying: Column,
    measured: Measured,
    seed: int,
) -> Column:
    """(C,): log odds that a visitor did this to push or sink the item: by his crowd, how he came to be in it, and who
    he is. Learned from who is a decoy and who is not in the crowds that decoys joined, and from a part of
    the others."""
    who = cells.visitor_rows[members.cells]
    small = members.sizes < profile_crowds.LEAST
    rows = np.column_stack(
        (
            crowd_odds[members.crowds],
            crowds.values[members.crowds][:, [0, 1, 3, 4, 8, 12, 13]],
            odd[who],
            outlying[who],
            np.log1p(crowds.bursts),
            np.nan_to_num(measured.strange[members.cells]),
            np.maximum(crowd_odds[members.crowds], 0) * np.clip(odd[who], -2, 4) / 4,
        )
    )
    joined = members.gangs[members.crowds] >= 0
    fake = joined & ~real[who]
    told = joined.copy()
    told[:: max(len(told) // REAL_CELLS, 1)] = True
    told &= ~small[members.crowds]
    found = np.full(len(cells), -8.0)
    if (told & fake).sum() < 5 or (told & ~fake).sum() < 10:
        return found
    from sklearn.ensemble import HistGradientBoostingClassifier

    weight = np.where(fake, (told & ~fake).sum() / (told & fake).sum(), 1.0)
    model = HistGradientBoostingClassifier(
        max_iter=60,
        max_leaf_nodes=8,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    model.fit(rows[told], fake[told], sample_weight=weight[told])
    bent = model.decision_function(rows)
    # A straight line goes on where decoys end: real campaigns are larger than theirs.
    scale = Scale.of(rows[told & ~fake].astype(np.float32), np.zeros(int((told & ~fake).sum())))
    far = scale.z(rows.astype(np.float32), np.zeros(len(rows)), FAR)
    near = np.clip(far[told], -REACH, REACH)
    own = BENT * bent + (1 - BENT) * np.clip(odds(far, line(near, fake[told])), -8, 16)
    own[small[members.crowds]] = -8.0
    direct = ~joined
    found[members.cells[direct]] = own[direct]
    # A decoy's other cells are judged as members of the real crowds that they do not belong to, without bursts.
    side = profile_crowds.sides(cells)
    found[members.cells[fake]] = own[fake]
    rest = ~real[cells.visitor_rows]
    rest[members.cells[fake]] = False
    found[rest] = _as_guest(cells, side, rest, members, own)
    return np.clip(found, -8, 12)


def _as_guest(
    cells: Cells, side: NDArray[np.int64], rest: NDArray[np.bool_], members: Membership, own: Column
) -> Column:
    """What a member of the same real crowd gets on average: for what decoys did beside their aims."""
    direct = members.gangs[members.crowds] < 0
    count = len(members.keys)
    mean = np.bincount(members.crowds[direct], own[direct], count) / np.maximum(
        np.bincount(members.crowds[direct], minlength=count), 1
    )
    keys = members.keys[members.gangs < 0]
    means = mean[members.gangs < 0]
    at = np.minimum(np.searchsorted(keys, side[rest]), max(len(keys) - 1, 0))
    return np.where(keys[at] == side[rest], means[at], -8.0)


def _evidence(cells: Cells, own: Column) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(U, 2): a visitor's two most suspicious cells; and the first of them, -1 where none."""
    order = np.lexsort((own, cells.visitor_rows))
    ends = np.cumsum(cells.sizes)
    has, second = cells.sizes > 0, cells.sizes > 1
    top = np.full(cells.visitors, -1)
    top[has] = order[ends[has] - 1]
    first = np.where(has, own[top], -8.0)
    next_one = np.full(cells.visitors, -8.0)
    next_one[second] = own[order[ends[second] - 2]]
    return np.column_stack((first, next_one)), top


def _standing(cells: Cells, members: Membership, crowd_odds: Column, top: NDArray[np.int64]) -> NDArray[np.float64]:
    """(U, 2): the odds of the crowd that a visitor's most suspicious cell is in, and the log of its size."""
    at = np.full(len(cells), -1)
    fake = members.gangs[members.crowds] >= 0
    for part in (~fake, fake):  # a decoy's cell is in its gang's crowd, a real one in the real one
        own = part if part is not fake else part & (at[members.cells] < 0)
        at[members.cells[own]] = members.crowds[own]
    crowd = np.where(top >= 0, at[top], -1)
    found = np.column_stack((crowd_odds[crowd], np.log(np.maximum(members.sizes[crowd], 1))))
    found[crowd < 0] = (-8.0, 0.0)
    return found


def _partners(cells: Cells, real: NDArray[np.bool_], members: Membership, crowds: Crowds) -> NDArray[np.float64]:
    """(U, 2): see Judged. Only praise and blame, as many buy the same things on the same day,
    and only deeds in a burst; bursts of more than
    MOST_BURST visitors are everybody's (a sale, a launch): they are left out, which also bounds the pairs."""
    found = np.zeros((cells.visitors, 2))
    side = members.keys[members.crowds] % 3
    opinions = side != profile_crowds.TAKEN
    direct = members.gangs[members.crowds] < 0
    who = cells.visitor_rows[members.cells]
    burst = opinions & (crowds.bursts[:, :2].max(axis=1) > BURST) & (direct | ~real[who])
    number = np.bincount(members.crowds[burst], minlength=len(members.keys))
    burst &= (number <= MOST_BURST)[members.crowds]
    if not burst.any():
        return found
    from scipy.sparse import coo_matrix, triu

    rows = np.flatnonzero(np.bincount(who[burst], minlength=cells.visitors) >= 2)
    place = np.full(cells.visitors, -1)
    place[rows] = np.arange(len(rows))
    burst &= place[who] >= 0
    crowd_rows = members.crowds[burst]
    taken = coo_matrix(
        (np.ones(len(crowd_rows), np.float32), (place[who[burst]], crowd_rows)), shape=(len(rows), len(members.keys))
    ).tocsr()
    pairs = triu(taken @ taken.T, 1).tocoo()
    pairs_row, pairs_col, shared = (column[pairs.data >= 2] for column in (pairs.row, pairs.col, pairs.data))
    for own in (pairs_row, pairs_col):
        np.add.at(found[:, 0], rows[own], 1)
        np.maximum.at(found[:, 1], rows[own], shared)
    found[:, 0] = np.log1p(found[:, 0])
    return found
