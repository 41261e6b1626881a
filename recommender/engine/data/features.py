"""What is known of items beside who took them, as numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

COLUMNS = 512  # at most, those that most items share
CELLS = 32 * 2**20  # at most: 128 MiB


def multi_hot(words: Sequence[Iterable[str]], columns: int = COLUMNS) -> NDArray[np.float32] | None:
    """One row per item, one column per word, 1 where the item has it: float32 (N, F). None where nothing is shared.

    Words of one item only tell nothing of others and are left out; so are the rarest beyond `columns` or 128 MiB. Equal
    words give equal columns, in whatever order they come.
    """
    own = [set(each) for each in words]
    counts = Counter(word for each in own for word in each)
    shared = sorted((word for word, items in counts.items() if items > 1), key=lambda word: (-counts[word], word))
    column = {word: place for place, word in enumerate(shared[: min(columns, CELLS // max(1, len(own)))])}
    if not column:
        return None
    found = np.zeros((len(own), len(column)), dtype=np.float32)
    for row, each in enumerate(own):
        found[row, [column[word] for word in each if word in column]] = 1
    return found
