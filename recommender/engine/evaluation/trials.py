"""What a search tried: settings, what they reached, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray


class State(StrEnum):
    """How a trial ended, best known first."""

    DONE = "done"
    PRUNED = "pruned"  # without hope, so it was not measured to the end
    FAILED = "failed"  # no finite numbers, too much memory, or settings that do not go together
    ABANDONED = "abandoned"  # time was up, or somebody interrupted it; it may be tried again


@dataclass(frozen=True)
class Trial:
    config: Mapping[str, Any]
    """The settings that differ from the trainer's defaults."""
    value: float
    """The metric on the validation part (of a part of its users where pruned); -inf where it was not measured."""
    state: State = State.DONE
    number: int = 0
    low: float = -inf
    high: float = -inf
    """With `low`, the 95 % interval of the value."""
    note: str = ""
    fit_s: float = field(default=0.0, compare=False)
    score_s: float = field(default=0.0, compare=False)
    users: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    """(V,): the metric of each user of the panel; None where not all were asked."""

    def as_json(self) -> dict[str, Any]:
        """All but the users; None stands for what was not measured."""
        return {
            "config": dict(self.config),
            "state": self.state.value,
            "number": self.number,
            "note": self.note,
            "fit_s": self.fit_s,
            "score_s": self.score_s,
            **{name: value if isfinite(value := getattr(self, name)) else None for name in ("value", "low", "high")},
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any], users: NDArray[np.float64] | None = None) -> "Trial":
        """Raises KeyError, TypeError, ValueError for what `as_json` did not write."""
        value, low, high = (-inf if said[name] is None else float(said[name]) for name in ("value", "low", "high"))
        return cls(
            dict(said["config"]),
            value,
            State(said["state"]),
            int(said["number"]),
            low,
            high,
            str(said["note"]),
            float(said["fit_s"]),
            float(said["score_s"]),
            users,
        )


def rank(trial: Trial) -> tuple[int, float, int]:
    """Where it stands, best lowest: by state (done, pruned, failed, abandoned), then by value, then the earlier."""
    return list(State).index(trial.state), -trial.value, trial.number


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=rank)
