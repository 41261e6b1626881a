"""What was found about a subject's rows: how surely each is what it seems to be, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_GROUP = -1


@dataclass(frozen=True)
class Features:
    """What is known of R rows. Values are plain numbers in the units that their names say; NaN where missing."""

    ids: Sequence[str]
    """R ids of the outside world: a visitor's, a review's, ..."""
    names: tuple[str, ...]
    """F names."""
    values: NDArray[np.float32]
    """(R, F)."""


@dataclass(frozen=True)
class Found:
    """A subject's rows, judged. Every row that was looked at is here, the harmless ones too."""

    features: Features
    probabilities: NDArray[np.float64]
    """(R,), calibrated: of the rows at .9, about nine in ten should be what they seem."""
    contributions: NDArray[np.float32]
    """(R, F): how much each feature has to do with it."""
    kinds: Sequence[str]
    """R names of what each looks like (push, nuke, scraper, ...); empty where it looks like nothing."""
    reasons: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """By row that is suspicious: sentences for people, the weightiest first, with the usual value beside its own."""
    targets: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """By row: ids of the items that it is about."""
    groups: NDArray[np.int64] | None = None
    """(R,): the same number for rows that act together, NO_GROUP for those that act alone; None where unknown."""
    visitors: Sequence[str] | None = None
    """R ids of the visitors behind the rows; None where the rows are visitors, or nobody is known."""
    events: Mapping[int, NDArray[np.int64]] | None = None
    """By suspicious row: the places, in the columns that were given, of the events that it taints; None where it taints
    all events of its visitor (a profile) or none (access)."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What was learned, to judge by when the next fit fails."""
    detector: str = ""
    """Its name, for the record."""
