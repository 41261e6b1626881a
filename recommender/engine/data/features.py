"""What is known of items beside who took them, as numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit

COLUMNS = 512  # at most, those that most items share
CELLS = 32 * 2**20  # at most: 128 MiB


def multi_hot(words: Sequence[Iterable[str]], columns: int = COLUMNS) -> NDArray[np.float32] | None:
    """One row per item, one column per word, 1 where the item has it: float32 (N, F). None where nothing is shared.

    Words of one item only tell nothing of others and are left out; so are the rarest beyond `columns` or 128 MiB. Equal
    words give equal columns, in whatever order they come.
    """
    own = [set(each) for each in words]
    shared = shared_words(own, columns)
    return marked(own, shared) if shared else None


def shared_words(words: Sequence[Iterable[str]], columns: int = COLUMNS) -> list[str]:
    """The words that `multi_hot` makes columns of, in their order; most shared first."""
    counts = Counter(word for each in words for word in set(each))
    shared = sorted((word for word, items in counts.items() if items > 1), key=lambda word: (-counts[word], word))
    return shared[: min(columns, CELLS // max(1, len(words)))]


def marked(words: Sequence[Iterable[str]], columns: Sequence[str]) -> NDArray[np.float32]:
    """float32 (N, F): 1 where an item has the column's word, other words ignored."""
    place = {word: column for column, word in enumerate(columns)}
    found = np.zeros((len(words), len(columns)), dtype=np.float32)
    for row, each in enumerate(words):
        found[row, [place[word] for word in each if word in place]] = 1
    return found


def joined(parts: Iterable[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """What is known of items from several sides, (N, F_1), (N, F_2), ..., side by side: each counts the same, as each
    row of a part is made of length 1 where there is more than one. None where there is none."""
    there = [part for part in parts if part is not None]
    if len(there) < 2:
        return there[0] if there else None
    return np.hstack([unit(part.astype(np.float32)) for part in there])
