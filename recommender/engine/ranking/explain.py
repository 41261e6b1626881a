"""Reasons: which of a visitor's past events stand behind a recommendation, and how much of it each one is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories

LIMIT = 3  # reasons a shopper can take in at a glance
MAINLY = 0.5  # part of a score from which an item stands there for one past event


class Explains(Protocol):
    """What a trainer's query knows of itself; named here because ranking stands beside trainers, not above them."""

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(L, K): what each event of one history adds to the scores of K items."""


@dataclass(frozen=True)
class Reason:
    item_row: int
    """The item of the past events."""
    contribution: float
    """What they add to the recommended item's score, in the score's own unit."""
    share: float
    """Their part, 0 to 1, of all that speaks for the recommendation."""


def explain(
    query: Explains, history: Histories, item_rows: NDArray[np.int32], limit: int = LIMIT
) -> list[list[Reason]]:
    """The strongest reasons for each of K items, at most `limit`, from one visitor's history.

    Events of the same item are added up. Only what speaks for a recommendation is a reason; the list is empty where
    nothing does, as for trainers that give everyone the same. Ties by lower row.
    """
    past_rows, added = _added(query, history, item_rows)
    return [
        [Reason(*reason) for reason in zip(rows[:limit], own[:limit], parts[:limit], strict=True)]
        for rows, own, parts in _ordered(past_rows, added)
    ]


def shares(query: Explains, history: Histories, item_rows: NDArray[np.int32]) -> list[list[tuple[int, float]]]:
    """For each of K items, the past items that speak for it and their part, 0 to 1, of all that does, the largest
    first; the parts of one item sum to 1. Empty where nothing speaks for it.

    Where scores are sums over the history, as for most trainers, the parts are exact; for the others they are what the
    query attributes to each event.
    """
    past_rows, added = _added(query, history, item_rows)
    return [list(zip(rows, parts, strict=True)) for rows, _, parts in _ordered(past_rows, added)]


def _ordered(
    past_rows: NDArray[np.int32], added: NDArray[np.float32]
) -> Iterator[tuple[list[int], list[float], list[float]]]:
    """For each of K items: the past items that speak for it, the strongest first, what each adds, and their parts."""
    order = np.argsort(-added, axis=0, kind="stable")
    ordered = np.take_along_axis(added, order, 0)
    parts = ordered / np.maximum(ordered.sum(axis=0), np.finfo(np.float32).tiny)
    counts = np.count_nonzero(added, axis=0).tolist()
    columns = zip(past_rows[order].T.tolist(), ordered.T.tolist(), parts.T.tolist(), counts, strict=True)
    return ((rows[:count], own[:count], part[:count]) for rows, own, part, count in columns)


def causes(
    query: Explains, history: Histories, item_rows: NDArray[np.int32], least: float = MAINLY
) -> NDArray[np.int32]:
    """For each of K items, the past item that brings `least` of its score or more; -1 where none does. int32 (K,)."""
    past_rows, added = _added(query, history, item_rows)
    if not len(past_rows):
        return np.full(len(item_rows), -1, dtype=np.int32)
    strongest = added.argmax(axis=0)
    total = added.sum(axis=0)
    own = added[strongest, np.arange(len(item_rows))]
    return np.where((total > 0) & (own >= least * total), past_rows[strongest], -1).astype(np.int32)


def _added(
    query: Explains, history: Histories, item_rows: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The distinct items of a history, int32 (M,), and what each adds to the scores of K items, float32 (M, K): what
    speaks against one counts as nothing."""
    past_rows, place = np.unique(history.item_rows, return_inverse=True)
    own = query.contributions(history, item_rows)
    if len(past_rows) < len(place):
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(past_rows)))
        own = np.add.reduceat(own[order], starts, axis=0)
    else:
        own = own[np.argsort(place)]
    return past_rows, np.maximum(own, 0)
