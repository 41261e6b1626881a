"""What is held back to judge a model by."""

import numpy as np

from recommender.engine.data.interactions import Interactions


def time_split(data: Interactions, at: int, only_new: bool = True) -> tuple[Interactions, Interactions]:
    """Events before `at` (Unix seconds) to learn from, events from then on to test with.

    With `only_new`, test pairs that the user already has in the training part are left out, so that the test asks for
    discoveries rather than repeats. Test events that speak against an item (weight <= 0) are left out as well.
    """
    train = data.where(data.times < at)
    test = data.where((data.times >= at) & (data.weights > 0))
    return train, without_known_pairs(test, train) if only_new else test


def leave_one_out(data: Interactions) -> tuple[Interactions, Interactions]:
    """Each user's last event to test with, all before it to learn from; users of one event only train."""
    last = np.zeros(len(data), dtype=bool)
    lengths = np.diff(data.indptr)
    last[data.indptr[1:][lengths > 1] - 1] = True
    return data.where(~last), data.where(last)


def share_split(data: Interactions, share: float, only_new: bool = True) -> tuple[Interactions, Interactions, int]:
    """A time split that leaves the last `share` (0 to 1) of the events to the test; also returns its time."""
    at = int(np.quantile(data.times, 1 - share)) + 1 if len(data) else 0
    return *time_split(data, at, only_new), at


def without_known_pairs(test: Interactions, train: Interactions) -> Interactions:
    """The test events whose (user, item) pair is not in `train`."""
    n = np.int64(len(test.items))
    known = np.isin(test.user_rows * n + test.item_rows, train.user_rows * n + train.item_rows)
    return test.where(~known)


def random_split(data: Interactions, share: float, seed: int) -> tuple[Interactions, Interactions]:
    """Hold back about `share` (0 to 1) of each user's items, all their events at once, for data without times.

    Every user keeps at least one item to learn from.
    """
    pairs = data.user_rows * np.int64(max(1, len(data.items))) + data.item_rows
    distinct, place = np.unique(pairs, return_inverse=True)
    owners = distinct // max(1, len(data.items))
    order = np.lexsort((np.random.default_rng(seed).random(len(distinct)), owners))
    counts = np.bincount(owners, minlength=len(data.users))
    rank = np.empty(len(distinct), dtype=np.int64)  # 0 for the pair that chance puts first among its user's
    rank[order] = np.arange(len(distinct)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = (rank < np.minimum(np.round(share * counts), counts - 1)[owners])[place]
    return data.where(~held), data.where(held)


def hold_out(data: Interactions, share: float, seed: int) -> tuple[Interactions, Interactions]:
    """A part to learn from and one to choose by: the last `share` (0 to 1) of the events, or a random part of each
    user's items where times say nothing."""
    if not data.timed:
        return random_split(data, share, seed)
    train, held, _ = share_split(data, share)
    return train, held


def hold_out_last(data: Interactions, users: int, seed: int) -> tuple[Interactions, Interactions]:
    """One event of each of up to `users` random users to stop training by, the rest to learn from.

    It is the user's last, or a random one where times say nothing, of those who have two or more; only what is liked
    and new to them is asked for.
    """
    random = np.random.default_rng(seed)
    lengths = np.diff(data.indptr)
    chosen = np.flatnonzero(lengths > 1)
    chosen = np.sort(random.permutation(chosen)[:users])
    places = data.indptr[chosen + 1] - 1
    if not data.timed:
        places = data.indptr[chosen] + random.integers(0, lengths[chosen])
    held = np.zeros(len(data), dtype=bool)
    held[places] = True
    rest = data.where(~held)
    return rest, without_known_pairs(data.where(held & (data.weights > 0)), rest)
