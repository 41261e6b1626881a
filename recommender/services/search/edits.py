"""How far words are apart, many at a time."""

import numpy as np
from numpy.typing import NDArray

LONGEST = 24  # characters of a word that is compared; longer ones are not misspelled but made up


def codes(words: list[str]) -> NDArray[np.uint16]:
    """(V, LONGEST): code points, 0 behind a word's end. Words have 1 to LONGEST characters, all of the basic plane."""
    raw = np.array(words, dtype=f"<U{LONGEST}").view(np.uint32).reshape(len(words), LONGEST)
    return raw.astype(np.uint16)


def lengths(table: NDArray[np.uint16]) -> NDArray[np.int64]:
    """(V,)"""
    return np.count_nonzero(table, axis=1)


def marks(table: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """(V,): which letters a word holds, one of 64 bits each."""
    bits = np.uint64(1) << (table % 64).astype(np.uint64)
    return np.bitwise_or.reduce(np.where(table > 0, bits, np.uint64(0)), axis=1)


def near(
    word: str, table: NDArray[np.uint16], sizes: NDArray[np.int64], letters: NDArray[np.uint64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the words at most `most` edits from `word`, and their distances, (K,) each, by row.

    An edit inserts, takes out or replaces a letter, or swaps two neighbours (Damerau-Levenshtein, restricted: optimal
    string alignment). Only words that lengths and letters allow are compared: an edit changes a length by one and the
    set of letters by two at most. Time O(V + C L^2), C of V compared.
    """
    if not 0 < len(word) <= LONGEST or not len(table):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    own = codes([word])
    apart = np.bitwise_count(letters ^ marks(own)[0])
    rows = np.flatnonzero((np.abs(sizes - len(word)) <= most) & (apart <= 2 * most))
    distances = _distances(own[0, : len(word)], table[rows], sizes[rows])
    kept = distances <= most
    return rows[kept], distances[kept]


def _distances(word: NDArray[np.uint16], table: NDArray[np.uint16], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C,): the distance of one word to C others; the usual table, each of its cells for all of them."""
    if not len(table):
        return np.zeros(0, np.int64)
    width = int(sizes.max())
    before: NDArray[np.int64] = np.zeros((0, 0), np.int64)
    earlier = before
    now = np.tile(np.arange(width + 1, dtype=np.int64)[:, None], (1, len(table)))
    for i in range(1, len(word) + 1):
        earlier, before, now = before, now, np.empty_like(now)
        now[0] = i
        for j in range(1, width + 1):
            same = table[:, j - 1] == word[i - 1]
            best = np.minimum(np.minimum(before[j], now[j - 1]) + 1, before[j - 1] + ~same)
            if i > 1 and j > 1:
                swapped = (table[:, j - 1] == word[i - 2]) & (table[:, j - 2] == word[i - 1])
                best = np.where(swapped, np.minimum(best, earlier[j - 2] + 1), best)
            now[j] = best
    return now[sizes, np.arange(len(table))]
