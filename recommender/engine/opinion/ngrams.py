"""Words and pairs of words as columns, and the weights that tell praise from blame by them.

Logistic regression over naive-Bayes log-count ratios (NBSVM, Wang and Manning 2012), on hashed columns: what was
learned is one number per column, without a vocabulary.
"""

import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

COLUMNS = 2**18
LONGEST = 20_000  # characters read of a text
SMOOTHING = 1.0  # occurrences that every column has had before the first
STRENGTH = 1.0  # inverse of the regularisation
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[!?]")


def tokens(text: str) -> list[str]:
    """Lower-case words, apostrophes within them kept, and marks that have a tone."""
    return _TOKEN.findall(text[:LONGEST].lower().replace("’", "'"))


def columns(text: str) -> list[int]:
    """The columns of a text's words, pairs and triples, ascending, each once."""
    words = tokens(text)
    grams = [" ".join(words[at : at + size]) for size in (1, 2, 3) for at in range(len(words) - size + 1)]
    return sorted({crc32(gram.encode()) % COLUMNS for gram in grams})


def matrix(texts: Sequence[str]) -> Any:
    """(B, COLUMNS) sparse, 1 where a text has the column."""
    from scipy import sparse

    found = [columns(text) for text in texts]
    indptr = np.cumsum([0, *map(len, found)])
    indices = np.array([column for row in found for column in row], dtype=np.int64)
    return sparse.csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=(len(texts), COLUMNS))


def fit(
    texts: Sequence[str], liked: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Weights (COLUMNS + 1,), the last the intercept. Both kinds have to be in `liked`, bool (B,); `weights` (B,) tell
    how much each text counts."""
    from sklearn.linear_model import LogisticRegression

    seen, each = matrix(texts), np.ones(len(texts)) if weights is None else weights
    used = np.unique(seen.indices)  # the others would get 0, and take most of the time
    seen = seen[:, used]
    good, bad = (SMOOTHING + seen.T @ (each * kind) for kind in (liked, ~liked))
    rest = SMOOTHING * (COLUMNS - len(used))
    ratios = np.log(good / (good.sum() + rest)) - np.log(bad / (bad.sum() + rest))
    scaled = seen.multiply(ratios[None, :]).tocsr()
    found = LogisticRegression(C=STRENGTH, max_iter=500).fit(scaled, liked, each)
    weighed = np.zeros(COLUMNS + 1, dtype=np.float32)
    weighed[used], weighed[-1] = ratios * found.coef_[0], found.intercept_[0]
    return weighed


def scores(weights: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float64]:
    """(B,): above 0 for praise."""
    sums = [float(weights[columns(text)].sum()) for text in texts]
    return np.array(sums, dtype=np.float64) + float(weights[-1])
