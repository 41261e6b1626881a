"""What training stops by: NDCG@10 on events that it does not learn from, over all items, those one has hidden."""

import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine import metrics
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import hold_out_last, without_known_pairs
from recommender.engine.options import Options

USERS = 2000  # asked after each epoch at most
SHARE = 5  # one of so many users at most gives up an event where a trainer has to cut its own
FEWEST = 20  # users; fewer would stop training by chance, so a shop that small gives none and trains to the end
BATCH_BYTES = 32 * 2**20  # of scores held at once

Scores = Callable[[Histories], NDArray[np.float32]]


@dataclass(frozen=True)
class Held:
    known: Interactions
    """What training learns from, which is also what the histories hold."""
    wanted: Interactions
    """What should come next: likes only, and none that the user has."""
    user_rows: NDArray[np.int32]
    """(V,): who is asked, ascending."""

    @classmethod
    def of(cls, known: Interactions, wanted: Interactions, seed: int, users: int = USERS) -> "Held":
        """Up to `users` of those who have both a history and something new in `wanted`."""
        wanted = without_known_pairs(wanted.where(wanted.weights > 0), known)
        who = np.unique(wanted.user_rows)
        who = who[np.diff(known.indptr)[who] > 0]
        if len(who) > users:
            who = np.sort(np.random.default_rng(seed).permutation(who)[:users])
        return cls(known, wanted.where(np.isin(wanted.user_rows, who)), who)

    def __len__(self) -> int:
        return len(self.user_rows)

    def ndcg(self, scores: Scores, beat: Callable[[], None] | None = None, k: int = 10) -> float:
        """Mean NDCG@K of what `scores`, histories -> float32 (B, N), ranks first. Calls `beat` after each batch."""
        n = len(self.known.items)
        total = 0.0
        for start in range(0, len(self), size := max(1, BATCH_BYTES // (4 * n))):
            users = self.user_rows[start : start + size]
            histories = self.known.histories(users)
            found = np.array(scores(histories), dtype=np.float32)
            found[np.isnan(found)] = -np.inf
            found[histories.user_rows, histories.item_rows] = -np.inf
            hits, relevant = np.zeros((len(users), k), dtype=np.bool_), np.empty(len(users), dtype=np.int64)
            for b, (wanted, _, _) in enumerate(self.wanted.histories(users)):
                distinct = np.unique(wanted)
                places, relevant[b] = _places(found[b], distinct), len(distinct)
                hits[b, places[places < k]] = True
            total += float(metrics.ndcg(hits, relevant, k).sum())
            if beat is not None:
                beat()
        return total / max(1, len(self))


def hold(data: Interactions, options: Options) -> tuple[Interactions, Held | None]:
    """What to learn from and what to stop by: `options.held`, or one event of a fifth of the users, up to 2,000.

    None where too few can spare an event.
    """
    if options.held is not None:
        given = Held.of(data, options.held, options.seed)
        return data, given if len(given) else None
    train, wanted = hold_out_last(data, min(USERS, len(data.users) // SHARE), options.seed)
    held = Held.of(train, wanted, options.seed)
    return (train, held) if len(held) >= FEWEST else (data, None)


def fingerprint(trainer: str, config: Any, data: Interactions, options: Options) -> dict[str, Any]:
    """What shapes the result of a fit, for its checkpoints: trainer, config, seed, data and events held out."""
    return {
        "trainer": trainer,
        "config": asdict(config),
        "seed": options.seed,
        "data": _sums(data),
        "held": None if options.held is None else _sums(options.held),
    }


def _sums(data: Interactions) -> list[int]:
    columns: list[NDArray[Any]] = [data.user_rows, data.item_rows, data.weights, data.times]
    if data.item_features is not None:
        columns.append(data.item_features)
    return [*data.shape, len(data), *(zlib.crc32(np.ascontiguousarray(column).data) for column in columns)]


def _places(scores: NDArray[np.float32], rows: NDArray[np.int32]) -> NDArray[np.int64]:
    """The place of each of `rows` (R,) when `scores` (N,) are ranked, from 0; of equal ones the lower row is first.

    O(N R): a fraction of what sorting out the best takes, where few items are wanted.
    """
    own = scores[rows, None]
    equal = (scores == own) & (np.arange(len(scores)) < rows[:, None])
    return np.asarray((scores > own).sum(axis=1) + equal.sum(axis=1))
