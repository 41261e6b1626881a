"""What to call a group: the terms that its members have and others have not (class-based TF-IDF, Grootendorst 2022)."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TERMS = 3  # in a name
EVERYWHERE = 0.3  # share of all items from which on a term tells nothing
COMMON = 0.08  # share of a group that has a term, at least, for it to be in the name


class Terms:
    """What N items are described by, as a sparse matrix of items and terms."""

    def __init__(self, described: Iterable[Iterable[str]]) -> None:
        """Terms are equal whatever their case, and spelled as they are most often. One that only one item has names no
        group and is left out."""
        from scipy import sparse

        spellings: dict[str, Counter[str]] = {}
        own = []
        for terms in described:
            mine = {term.casefold(): term for term in terms}
            own.append(mine)
            for key, term in mine.items():
                spellings.setdefault(key, Counter())[term] += 1
        kept = sorted(key for key, seen in spellings.items() if seen.total() > 1)
        columns = {key: column for column, key in enumerate(kept)}
        self.words = [spellings[key].most_common(1)[0][0] for key in kept]
        cells = [(row, columns[key]) for row, mine in enumerate(own) for key in mine if key in columns]
        rows, cols = np.array(cells, dtype=np.int64).reshape(-1, 2).T
        self.matrix: Any = sparse.csr_array(
            (np.ones(len(cells), dtype=np.float32), (rows, cols)), shape=(len(own), len(kept))
        )


def group_names(weights: Any, terms: Terms, unnamed: str = "Group") -> list[str]:
    """C names, no two the same; `weights` (C, N), sparse or dense, tell how much an item counts in a group.

    A term's score in a group is its share of the group's terms times log(1 + terms of a group / the term's of all).
    """
    from scipy import sparse

    weights = sparse.csr_array(weights)
    counts = np.asarray((weights @ terms.matrix).todense(), dtype=np.float64)
    sizes = np.asarray(weights.sum(axis=1)).ravel()
    total, mean = counts.sum(axis=0), counts.sum() / max(1, len(counts))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    scores = shares * np.log1p(mean / np.maximum(total, 1e-12))
    widest = max(EVERYWHERE, 1.2 / max(1, len(counts)))  # of two groups, each may have half of the items
    everywhere = np.asarray(terms.matrix.sum(axis=0)).ravel() > widest * terms.matrix.shape[0]
    if not everywhere.all():
        scores[:, everywhere] = 0
    taken: set[str] = set()
    names = []
    for number, (row, count, size) in enumerate(zip(scores, counts, sizes, strict=True), 1):
        ranked = [terms.words[column] for column in np.argsort(-row, kind="stable") if row[column] > 0]
        often = {terms.words[column] for column in np.flatnonzero(count >= COMMON * size)}
        name = _name([term for term in ranked if term in often] or ranked, taken) or f"{unnamed} {number}"
        taken.add(name)
        names.append(name)
    return names


def of_labels(labels: NDArray[np.int32], terms: Terms, unnamed: str = "Group") -> list[str]:
    """Names for the groups 0, 1, ... of items that carry these labels; negative ones are in none."""
    from scipy import sparse

    rows = np.flatnonzero(labels >= 0)
    shape = (int(labels.max(initial=-1)) + 1, len(labels))
    return group_names(sparse.csr_array((np.ones(len(rows)), (labels[rows], rows)), shape=shape), terms, unnamed)


def _name(ranked: Sequence[str], taken: set[str]) -> str:
    """The first terms that say different things, and more of them where another group is called so already."""
    chosen: list[str] = []
    for term in ranked:
        if any(_words(term) & _words(other) for other in chosen):
            continue
        chosen.append(term)
        name = ", ".join(chosen)
        name = name[:1].upper() + name[1:]
        if len(chosen) >= TERMS and name not in taken:
            return name
    if not chosen:
        return ""
    name = ", ".join(chosen)
    name = name[:1].upper() + name[1:]
    return name if name not in taken else ""


def _words(term: str) -> set[str]:
    """Its words, singular and plural alike."""
    return {word.removesuffix("s") for word in re.findall(r"\w+", term.casefold())}
