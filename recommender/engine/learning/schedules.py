"""How the learning rate changes while training: a factor from 0 to 1 for each step.

Each takes `step` (from 0), `steps` in all and `warmup` steps, in which the factor rises in a line to 1.
"""

from collections.abc import Callable, Mapping
from math import cos, pi

Schedule = Callable[[int, int, int], float]


def constant(step: int, steps: int, warmup: int) -> float:
    """1 after the warm-up."""
    return _rising(step, warmup)


def cosine(step: int, steps: int, warmup: int) -> float:
    """(1 + cos(pi t)) / 2 with t the share done of what follows the warm-up (Loshchilov and Hutter 2017)."""
    return _rising(step, warmup) * (1 + cos(pi * _done(step, steps, warmup))) / 2


def linear(step: int, steps: int, warmup: int) -> float:
    """1 - t with t the share done of what follows the warm-up."""
    return _rising(step, warmup) * (1 - _done(step, steps, warmup))


SCHEDULES: Mapping[str, Schedule] = {"constant": constant, "cosine": cosine, "linear": linear}


def _rising(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / (warmup + 1))


def _done(step: int, steps: int, warmup: int) -> float:
    return min(1.0, max(0, step - warmup) / max(1, steps - warmup))
