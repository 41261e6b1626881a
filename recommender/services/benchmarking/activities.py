"""Public data as a shop's events: what attacks are tried on, and what profiles are judged in."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.activity import KINDS, RATING, Activity
from recommender.engine.data.datasets import VARIABLE
from recommender.engine.data.ids import Ids
from recommender.engine.errors import InvalidDataset

PURCHASE = KINDS.index("purchase")
SEED = 1  # of the numbers that sets of items are told apart by


def load_activity(name: str, root: Path | None = None) -> Activity:
    """The named set, from `root` or the folder that RECSITE_DATA names. Raises InvalidDataset."""
    if name not in ACTIVITIES:
        raise InvalidDataset(f"{name!r} is none of: {', '.join(sorted(ACTIVITIES))}.")
    folder = root or Path(os.environ.get(VARIABLE, ""))
    if root is None and not os.environ.get(VARIABLE):
        raise InvalidDataset(f"Set {VARIABLE} to the folder that holds {name}.")
    try:
        return ACTIVITIES[name](folder / name)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidDataset(f"{folder / name} cannot be read: {error}") from error


def _ml_1m(folder: Path) -> Activity:
    """Stars of MovieLens 1M. No clock times are known, so all are 0; rows are in the order in which each user rated.

    That order is the one of sequences.npz, whose users have numbers of their own: a user is found by the set of items.
    Ratings that are not in there come after the others.
    """
    ratings = _table(folder / "ratings.parquet", ["user", "movie_id", "rating"])
    users, user_rows = Ids.factorize(ratings["user"])
    items, item_rows = Ids.factorize(ratings["movie_id"])
    rank = _ranks(folder, users, items, user_rows, item_rows)
    share = rank / np.maximum(np.bincount(user_rows)[user_rows], 1)  # users side by side, not one after the other
    order = np.lexsort((user_rows, rank, share))
    size = len(order)
    return Activity(
        users,
        items,
        user_rows[order],
        item_rows[order],
        np.full(size, RATING, np.int8),
        ratings["rating"].to_numpy(np.float32)[order],
        np.zeros(size, np.int64),
        np.full(size, -1, np.int64),
    )


def _ranks(
    folder: Path, users: Ids, items: Ids, user_rows: NDArray[np.int32], item_rows: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Each rating's place in its user's own order, from 0."""
    with np.load(folder / "sequences.npz", allow_pickle=False) as arrays:
        owners, steps = arrays["user"].astype(np.int64), arrays["item"]
    names = np.loadtxt(folder / "sequence_item_to_movie_id.txt", dtype=np.int64)
    row_of = np.full(names[:, 0].max() + 1, -1, np.int64)
    row_of[names[:, 0]] = items.rows(names[:, 1].astype(str).tolist())
    steps = row_of[steps]
    numbers = np.random.default_rng(SEED).integers(0, 2**64, len(items), dtype=np.uint64)
    numbers[np.setdiff1d(np.arange(len(items)), steps)] = 0  # items that no sequence has
    theirs, ours = np.zeros(owners.max() + 1, np.uint64), np.zeros(len(users), np.uint64)
    np.add.at(theirs, owners, numbers[steps])
    np.add.at(ours, user_rows, numbers[item_rows])
    by_sum = np.argsort(theirs)
    found = by_sum[np.minimum(np.searchsorted(theirs[by_sum], ours), len(theirs) - 1)]
    if not np.array_equal(theirs[found], ours):
        raise ValueError("sequences.npz holds other users than ratings.parquet.")
    user_of = np.zeros(len(theirs), np.int64)
    user_of[found] = np.arange(len(users))
    starts = np.searchsorted(owners, owners)  # a user's events lie together
    keys = user_of[owners] * len(items) + steps
    order = np.argsort(keys)
    wanted = user_rows.astype(np.int64) * len(items) + item_rows
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    inside = keys[order[place]] == wanted
    after = np.bincount(user_of[owners], minlength=len(users))[user_rows]
    return np.where(inside, (np.arange(len(owners)) - starts)[order[place]], after)


def _online_retail(folder: Path) -> Activity:
    """Purchases of known customers, without cancellations and gifts; an invoice is a session, a value its pieces."""
    columns = ["invoice", "stock_code", "quantity", "invoiced_at", "unit_price_gbp", "customer"]
    lines = _table(folder / "transactions.parquet", columns)
    sold = (lines["quantity"] > 0) & (lines["unit_price_gbp"] > 0) & lines["customer"].notna()
    lines = lines[sold & ~lines["invoice"].str.startswith("C")]
    times = lines["invoiced_at"].to_numpy().astype("datetime64[s]").astype(np.int64)
    order = np.argsort(times, kind="stable")
    users, user_rows = Ids.factorize(lines["customer"].astype(str))
    items, item_rows = Ids.factorize(lines["stock_code"])
    return Activity(
        users,
        items,
        user_rows[order],
        item_rows[order],
        np.full(len(order), PURCHASE, np.int8),
        lines["quantity"].to_numpy(np.float32)[order],
        times[order],
        Ids.factorize(lines["invoice"])[1].astype(np.int64)[order],
    )


ACTIVITIES: Mapping[str, Callable[[Path], Activity]] = {"ml-1m": _ml_1m, "online-retail": _online_retail}


def _table(path: Path, columns: list[str]) -> Any:
    import pandas as pd

    return pd.read_parquet(path, columns=columns)
