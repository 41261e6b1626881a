"""External ids and their rows. The two never mix: a row is only meaningful beside the `Ids` that gave it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNKNOWN = -1  # the row of an id that is not there


@dataclass(frozen=True)
class Ids:
    """Distinct external ids in sorted order; an id's row is its place.

    `encoded` is bytes (N,), UTF-8, sorted: it can be memory-mapped and searched without building a dictionary, so that
    a web process opens a million ids at no cost.
    """

    encoded: NDArray[np.bytes_]

    @classmethod
    def of(cls, values: Iterable[str]) -> "Ids":
        return cls(np.unique(_encode(np.asarray(list(values), dtype=object))))

    @classmethod
    def factorize(cls, values: ArrayLike) -> tuple["Ids", NDArray[np.int32]]:
        """The distinct ids of a column (E,) and each value's row, int32 (E,).

        Raises ValueError where one is missing (None, NaN).
        """
        import pandas as pd  # not at the top: web processes read ids but never factorize

        codes, distinct = pd.factorize(np.asarray(values, dtype=object))
        if (codes < 0).any():
            raise ValueError("An id is missing.")
        encoded, row_of_code = np.unique(_encode(distinct), return_inverse=True)  # 1 and "1" are one id
        return cls(encoded), row_of_code[codes].astype(np.int32)

    def __len__(self) -> int:
        return len(self.encoded)

    def id(self, row: int) -> str:
        return self.encoded[row].decode()

    def ids(self, rows: ArrayLike) -> list[str]:
        return [value.decode() for value in self.encoded[np.asarray(rows)].tolist()]

    def row(self, value: str) -> int:
        """The row of one id, or UNKNOWN."""
        key = value.encode()
        if not len(self) or len(key) > self.encoded.dtype.itemsize:
            return UNKNOWN
        place = int(np.searchsorted(self.encoded, np.bytes_(key)))
        return place if place < len(self) and self.encoded[place] == key else UNKNOWN

    def rows(self, values: Iterable[str]) -> NDArray[np.int32]:
        """The rows of many ids, int32; UNKNOWN where an id is not there."""
        keys = _encode(np.asarray(list(values), dtype=object))
        if not len(self) or not len(keys):
            return np.full(len(keys), UNKNOWN, dtype=np.int32)
        places = np.minimum(np.searchsorted(self.encoded, keys), len(self) - 1)
        return np.where(self.encoded[places] == keys, places, UNKNOWN).astype(np.int32)

    @cached_property
    def all(self) -> list[str]:
        return self.ids(np.arange(len(self)))


def _encode(values: NDArray[np.object_]) -> NDArray[np.bytes_]:
    return np.asarray([str(value).encode() for value in values.tolist()], dtype=np.bytes_)
