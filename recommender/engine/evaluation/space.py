"""The settings that a search chooses among: for each field the values that the trainer's config names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import optuna

SMALL_SPACE = 10_000  # points; up to so many are listed to find those not tried yet

Point = tuple[int, ...]  # each field's place in its values


@dataclass(frozen=True)
class Space:
    values: Mapping[str, tuple[Any, ...]]

    @property
    def size(self) -> int:
        """How many points there are: one where there is no field."""
        return prod(map(len, self.values.values()))

    def point(self, full: Mapping[str, Any]) -> Point | None:
        """Where these settings lie; None where outside."""
        try:
            return tuple(values.index(full[name]) for name, values in self.values.items())
        except ValueError:
            return None

    def drawn(self, trial: "optuna.Trial") -> dict[str, Any]:
        """What Optuna draws for each field. Numbers in rising order are drawn by place, so that neighbours inform each
        other; others as categories."""
        found = {}
        for name, values in self.values.items():
            numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
            if numbers and list(values) == sorted(values):
                found[name] = values[trial.suggest_int(name, 0, len(values) - 1)]
            else:
                found[name] = values[trial.suggest_categorical(name, list(range(len(values))))]
        return found

    def unknown_point(self, known: Collection[Point], seed: int) -> Point:
        """One that is not known, each as likely as the others. There must be one."""
        random = np.random.default_rng(seed)
        sizes = [len(values) for values in self.values.values()]
        if self.size <= SMALL_SPACE:
            left = [point for point in product(*map(range, sizes)) if point not in known]
            return left[random.integers(len(left))]
        while (point := tuple(int(random.integers(size)) for size in sizes)) in known:
            pass
        return point
