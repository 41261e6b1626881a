"""Texts that say the same: families of near-equal ones, by MinHash (Broder 1997) and banding (Leskovec et al., MMDS 3).

Everything is done on one array of bytes, so that a hundred thousand texts take seconds. A text is the set of its runs
of three words, whatever their case and punctuation; writing without spaces (CJK) counts each character as a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHINGLE = 3  # words in a run
HASHES, BANDS = 32, 8  # texts that share 60 % of their runs meet in a band about two times in three, at 80 % always
ALIKE = 0.65  # estimated share of common runs from which two texts are near-equal
NEIGHBOURS = 4  # of a band that each text is compared with
CHUNK = 20_000  # texts hashed at once, to bound memory
SEED = 1997
NONE = -1  # the family of a text that is like no other

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Families:
    of: NDArray[np.int64]
    """(R,): the same number for near-equal texts, or NONE."""
    words: NDArray[np.int64]
    """(R,): how many words each text has."""


def families(texts: Sequence[str]) -> Families:
    """Which texts are near-equal. Texts of fewer than three words are like none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = [_signatures(texts[low : low + CHUNK]) for low in range(0, len(texts), CHUNK)]
    words = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, dtype=np.int64)
    of = np.full(len(texts), NONE, dtype=np.int64)
    if not len(texts):
        return Families(of, words)
    signatures = np.concatenate([part[0] for part in parts])
    there = np.flatnonzero(words >= SHINGLE)
    left, right = _alike(signatures[there])
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(len(there), len(there)))
    labels = connected_components(graph, directed=False)[1]
    shared = np.bincount(labels, minlength=1)[labels] > 1
    of[there[shared]] = labels[shared]
    return Families(of, words)


def _signatures(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """(R, HASHES) the least hash of each text's runs, and (R,) its words."""
    encoded = [f"{text} ".lower().encode() for text in texts]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    letters = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    ends = np.cumsum(lengths)
    hashed, starts = _words(letters)
    text = np.searchsorted(ends, starts, side="right")
    words = np.bincount(text, minlength=len(texts))
    signatures = np.full((len(texts), HASHES), np.iinfo(np.uint32).max, dtype=np.uint32)
    if len(hashed) < SHINGLE:
        return signatures, words
    runs = hashed[:-2] * np.uint64(0x9E3779B97F4A7C15) + hashed[1:-1] * np.uint64(0xC2B2AE3D27D4EB4F) + hashed[2:]
    whole = text[:-2] == text[2:]
    runs, of = _mixed(runs[whole]), text[:-2][whole]
    if len(runs):
        firsts = np.flatnonzero(np.append(True, np.diff(of) != 0))
        rng = np.random.default_rng(SEED)
        for place in range(HASHES):
            odd = np.uint64(rng.integers(2**63) | 1)
            least = np.minimum.reduceat(((runs * odd) >> np.uint64(32)).astype(np.uint32), firsts)
            signatures[of[firsts], place] = least
    return signatures, words


def _words(letters: NDArray[np.uint8]) -> tuple[Hashes, NDArray[np.int64]]:
    """(W,) a hash of each word, and where it starts."""
    inside = np.zeros(256, dtype=bool)
    for first, last in ("09", "az"):
        inside[ord(first) : ord(last) + 1] = True
    inside[0x80:] = True  # all that UTF-8 writes beyond ASCII
    within = inside[letters]
    alone = (letters >= 0xE3) & (letters <= 0xED)  # leads of CJK, kana and Hangul
    begins = within & np.append(True, ~within[:-1])[: len(within)] | alone
    starts = np.flatnonzero(begins)
    if not len(starts):
        return np.zeros(0, dtype=np.uint64), starts
    place = np.flatnonzero(within)
    word = np.cumsum(begins)[place] - 1
    powers = np.cumprod(np.full(int((place - starts[word]).max()) + 1, 0x100000001B3, dtype=np.uint64))
    weighed = letters[place].astype(np.uint64) * powers[place - starts[word]]
    return _mixed(np.add.reduceat(weighed, np.searchsorted(place, starts))), starts


def _mixed(values: Hashes) -> Hashes:
    """Bits of all places in all places (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = values ^ (values >> np.uint64(31))
    return mixed


def _alike(signatures: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows that share a band and are near-equal."""
    width = HASHES // BANDS
    lefts, rights = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for low in range(0, HASHES, width):
        band = np.zeros(len(signatures), dtype=np.uint64)
        for place in range(low, low + width):
            band = _mixed(band + signatures[:, place].astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        order = np.argsort(band, kind="stable")
        for step in range(1, NEIGHBOURS + 1):
            left, right = order[:-step], order[step:]
            met = band[left] == band[right]
            left, right = left[met], right[met]
            same = (signatures[left] == signatures[right]).mean(axis=1) >= ALIKE
            lefts.append(left[same])
            rights.append(right[same])
    return np.concatenate(lefts), np.concatenate(rights)
