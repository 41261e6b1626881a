"""How much an event says: by its kind, its value and its age. One function, used in training and in serving."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig

DAY_S = 86_400
FEW = 1000  # events that are looked up one by one: one visitor's history, of which sorting would take ten times as long
MIDDLE_STARS = 3.0  # a rating of three stars out of five says neither yes nor no


@dataclass(frozen=True)
class EventWeights:
    by_kind: Mapping[str, float] = field(
        default_factory=lambda: {
            "impression": 0.0,
            "view": 1.0,
            "click": 1.0,
            "like": 3.0,
            "cart": 3.0,
            "purchase": 5.0,
            "rating": 2.0,
            "dislike": -5.0,
        }
    )
    """Weight of one event of each kind; negative speaks against the item. A rating's is per star above or below 3."""

    half_life_days: float = 180.0
    """Age at which an event counts half; 0 turns decay off."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.half_life_days) and self.half_life_days >= 0):
            raise InvalidConfig("half_life_days must be 0 or more.")
        if not all(np.isfinite(weight) for weight in self.by_kind.values()):
            raise InvalidConfig("Every event weight must be a finite number.")


def weigh(
    kinds: NDArray[np.object_] | NDArray[np.str_],
    values: NDArray[np.float64],
    times: NDArray[np.int64],
    now: int,
    config: EventWeights,
) -> NDArray[np.float32]:
    """Weights, float32 (E,), of events given as columns (E,): kind, value (NaN where none), time in Unix seconds.

    w = by_kind[kind] * (value - 3 if rated else 1) * 2 ** (-age / half life). Kinds that are not configured weigh 0.
    """
    if len(kinds) <= FEW:
        told = kinds.tolist()
        weights = np.array([config.by_kind.get(name, 0.0) for name in told], dtype=np.float64)
        rated = np.array([name == "rating" for name in told], dtype=np.bool_)
    else:
        names, codes = np.unique(np.asarray(kinds, dtype=np.str_), return_inverse=True)
        weights = np.array([config.by_kind.get(name, 0.0) for name in names.tolist()], dtype=np.float64)[codes]
        rated = np.isin(names, ["rating"])[codes]
    weights = np.where(rated, weights * (np.nan_to_num(values, nan=MIDDLE_STARS) - MIDDLE_STARS), weights)
    if config.half_life_days:
        age_days = np.maximum(now - times, 0) / DAY_S
        weights = weights * np.exp2(-age_days / config.half_life_days)
    return weights.astype(np.float32)
