"""The shop's own words: what a misspelled one was meant to be, and how one that was begun may go on.

The words come from titles, creators, categories and the beginnings of descriptions. A worker writes them down now and
then (`refresh`); a process reads that file and adds by itself what the index has since then, so that small shops need
no worker, and a word is known with the request after the one that wrote it.
"""

import math
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.models import Item
from recommender.services.search import edits, lexical
from recommender.services.search.words import fold, split

FILE = "search-words.npz"  # below artifacts_dir
FORMAT = 1
SHORTEST = 4  # letters of a word that is corrected: of shorter ones nearly all are near to each other
TWO_EDITS_FROM = 8  # letters
DESCRIPTION = 500  # characters of a description whose words are learned
BATCH = 2_000  # items read at once
AT_REQUEST = 4_000  # items that a request reads itself, if the file does not know them: about 0.2 s
AT_REQUESTS = 5 * AT_REQUEST  # items that requests read one after the other; more than that waits for a worker
LOOK_AGAIN_AFTER_S = 2.0
REWRITE_SHARE = 0.02  # of the items must be new before the file is written anew: of a million, AT_REQUESTS
RARE, FREQUENT = 2, 10  # a word in no more items than the first is doubted where a near one stands in as many as that
OFTENER = 10  # times


@dataclass(frozen=True)
class Words:
    """The shop's words, (V,) each, by rising folded form."""

    folded: NDArray[np.str_]
    forms: NDArray[np.str_]
    """As they are written, in lower case."""
    counts: NDArray[np.int64]
    """Items with that word."""
    seen: int
    """The id of the newest row of the index that was read."""
    codes: NDArray[np.uint16]
    sizes: NDArray[np.int64]
    letters: NDArray[np.uint64]

    @classmethod
    def of(cls, counted: dict[str, tuple[str, int]], seen: int) -> "Words":
        """`counted`: folded -> (form, items)."""
        folded = sorted(counted)
        table = edits.codes(folded) if folded else np.zeros((0, edits.LONGEST), np.uint16)
        width = f"<U{edits.LONGEST}"
        return cls(
            np.array(folded, dtype=width),
            np.array([counted[word][0] for word in folded], dtype=width),
            np.array([counted[word][1] for word in folded], dtype=np.int64),
            seen,
            table,
            edits.lengths(table),
            edits.marks(table),
        )

    def count(self, word: str) -> int:
        """Items that are known to hold it."""
        word = fold(word)[: edits.LONGEST]
        place = int(np.searchsorted(self.folded, word))
        return int(self.counts[place]) if place < len(self.folded) and self.folded[place] == word else 0

    def rarity(self, word: str) -> float:
        """How much the word tells: log(1 + (N - n + 0.5) / (n + 0.5)), n of N items having it, as in BM25."""
        n, items = self.count(word), max(self.seen, 1)
        return math.log(1 + max(items - n, 0) / (n + 0.5) + 0.5 / (n + 0.5))

    def nearest(self, word: str) -> tuple[str, int, int] | None:
        """The best word for a misspelled one: (form, items, edits); None where none is near enough.

        Fewest edits first, then the same first letter, which is seldom mistaken, then the more frequent.
        """
        word = fold(word)
        if len(word) < SHORTEST or any(letter.isdigit() for letter in word):
            return None
        most = 2 if len(word) >= TWO_EDITS_FROM else 1
        rows, distances = edits.near(word, self.codes, self.sizes, self.letters, most)
        rows, distances = rows[distances > 0], distances[distances > 0]
        if not len(rows):
            return None
        other = self.codes[rows, 0] != ord(word[0])
        best = int(np.lexsort((rows, -self.counts[rows], other, distances))[0])
        return str(self.forms[rows[best]]), int(self.counts[rows[best]]), int(distances[best])

    def beginning(self, start: str, limit: int) -> list[str]:
        """The most frequent words that begin so."""
        start = fold(start)
        first = int(np.searchsorted(self.folded, start))
        last = int(np.searchsorted(self.folded, start + "\uffff"))
        rows = first + np.argsort(-self.counts[first:last], kind="stable")[:limit]
        return [str(form) for form in self.forms[rows]]


NO_WORDS = Words.of({}, 0)
_words: Words | None = None
_looked = 0.0
_reading = threading.Lock()


def words() -> Words:
    """What this process knows, brought up to date every few seconds."""
    global _words, _looked
    known = _words
    if known is not None and time.monotonic() - _looked < LOOK_AGAIN_AFTER_S:
        return known
    if not _reading.acquire(blocking=known is None):
        return known or NO_WORDS  # another thread reads
    try:
        newest = lexical.newest_row()
        known = _words
        if known is None or known.seen > newest or lexical.count_after(known.seen, AT_REQUEST + 1) > AT_REQUEST:
            stored = _stored()
            if stored.seen <= newest and (known is None or known.seen > newest or stored.seen > known.seen):
                known = stored
            elif known is None or known.seen > newest:
                known = NO_WORDS
        if 0 < lexical.count_after(known.seen, AT_REQUESTS + 1) <= AT_REQUESTS:
            known = _with_more(known, AT_REQUEST)
        _words, _looked = known, time.monotonic()
        return known
    finally:
        _reading.release()


def forget() -> None:
    """Drop what this process knows, so that no test sees another one's words."""
    global _words, _looked
    _words, _looked = None, 0.0


def refresh(always: bool = False) -> bool:
    """Write the file anew if enough is new; for a worker, every now and then. Returns whether it was written.

    Reads about 20 thousand items a second; what is deleted is forgotten here.
    """
    newest, seen = lexical.newest_row(), _stored_until()
    if not always and 0 <= newest - seen <= max(AT_REQUEST // 4, REWRITE_SHARE * newest):
        return False
    made = _with_more(NO_WORDS, None)
    folder = conf().artifacts_dir
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{FILE}.{os.getpid()}"
    with aside.open("wb") as file:
        np.savez(
            file,
            format=np.array(FORMAT),
            words=_bytes(made.folded),
            forms=_bytes(made.forms),
            counts=made.counts,
            seen=np.array(made.seen),
        )
    aside.replace(folder / FILE)
    return True


def _stored_until() -> int:
    """The newest row that the file knows; 0 without a file."""
    try:
        with (conf().artifacts_dir / FILE).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return int(file["seen"]) if int(file["format"]) == FORMAT else 0
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return 0


def _stored() -> Words:
    try:
        with (conf().artifacts_dir / FILE).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                return NO_WORDS
            folded, forms, counts = _texts(file["words"]), _texts(file["forms"]), file["counts"].tolist()
            pairs = zip(forms, counts, strict=True)
            return Words.of(dict(zip(folded, pairs, strict=True)), int(file["seen"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # missing, or no longer whole
        return NO_WORDS


def _bytes(texts: NDArray[np.str_]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(texts.tolist()).encode(), dtype=np.uint8)


def _texts(data: NDArray[np.uint8]) -> list[str]:
    text = data.tobytes().decode()
    return text.split("\n") if text else []


def _with_more(known: Words, limit: int | None) -> Words:
    """`known` and the words of the next `limit` rows of the index, or of all. An item that changed counts twice until
    the file is written anew."""
    counted = {
        folded: (form, count)
        for folded, form, count in zip(known.folded.tolist(), known.forms.tolist(), known.counts.tolist(), strict=True)
    }
    seen, read = known.seen, 0
    while limit is None or read < limit:
        rows = lexical.rows_after(seen, BATCH)
        if not rows:
            break
        texts = Item.objects.filter(pk__in=[item_id for _, item_id in rows]).values_list(
            "title", "creator", "category__name", "category__parent__name", "attributes", "description"
        )
        _count(counted, texts)
        seen, read = rows[-1][0], read + len(rows)
    return Words.of(counted, seen)


def _count(counted: dict[str, tuple[str, int]], texts: Iterable[Sequence[Any]]) -> None:
    for *names, attributes, description in texts:
        there = set(split(" ".join((*(name or "" for name in names), *_told(attributes), description[:DESCRIPTION]))))
        for folded, form in {fold(word): word for word in sorted(there)}.items():
            if _is_learned(folded) and len(form) <= edits.LONGEST:
                before = counted.get(folded)
                counted[folded] = (form, 1) if before is None else (before[0], before[1] + 1)


def _told(attributes: Any) -> list[str]:
    """The texts among an item's attributes, and in lists of them."""
    values = attributes.values() if isinstance(attributes, dict) else ()
    parts = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return [part for part in parts if isinstance(part, str)]


def _is_learned(folded: str) -> bool:
    return 0 < len(folded) <= edits.LONGEST and max(folded) <= "\uffff" and not folded.isdigit()
