"""Reasons: which of a visitor's past events stand behind a recommendation, and how much of it each one is."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories

LIMIT = 3  # reasons a shopper can take in at a glance


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
    past_rows, place = np.unique(history.item_rows, return_inverse=True)
    added = np.zeros((len(past_rows), len(item_rows)), dtype=np.float32)
    np.add.at(added, place, query.contributions(history, item_rows))
    added = np.maximum(added, 0)
    shares = added / np.maximum(added.sum(axis=0), np.finfo(np.float32).tiny)
    order = np.argsort(-added, axis=0, kind="stable")[:limit]
    return [
        [
            Reason(int(past_rows[row]), float(added[row, column]), float(shares[row, column]))
            for row in order[:, column]
            if added[row, column] > 0
        ]
        for column in range(len(item_rows))
    ]
