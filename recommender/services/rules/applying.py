"""What the rules do to candidates: new scores, who is out, who stands where, and the name of each rule that did it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.models import Item, Rule
from recommender.services.rules.in_force import Acting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Applied:
    """For C candidates."""

    scores: NDArray[np.float32]
    """float32 (C,), after boosts and burials."""
    excluded: NDArray[np.bool_]
    """bool (C,)."""
    pins: dict[int, int]
    """By position, from 1, the candidate that stands there."""
    limits: list[tuple[NDArray[np.bool_], int]]
    """Of these candidates, bool (C,), at most so many in a list."""
    named: list[tuple[str, ...]]
    """By candidate, the rules that changed its score or place or took it out."""


def apply(acting: Sequence[Acting], items: Sequence[Item], scores: NDArray[np.float32]) -> Applied:
    """`items`, with their categories, and their `scores`, float32 (C,), not changed.

    What one rule excludes no other brings back. A pin takes the matching candidate with the best score that no pin of
    higher priority took; where its position is taken, the next free one.
    """
    count = len(items)
    scores = np.array(scores, dtype=np.float32)
    excluded = np.zeros(count, dtype=bool)
    named: list[tuple[str, ...]] = [()] * count
    limits: list[tuple[NDArray[np.bool_], int]] = []
    pinning: list[tuple[Acting, list[int]]] = []
    for rule in acting:
        found = _matching(rule, items)
        if not found:
            continue
        if rule.action == Rule.Action.PIN:
            pinning.append((rule, found))
            continue
        if rule.action == Rule.Action.LIMIT:
            mask = np.zeros(count, dtype=bool)
            mask[found] = True
            limits.append((mask, int(rule.amount)))
            continue
        if rule.action == Rule.Action.EXCLUDE:
            excluded[found] = True
        else:
            scores[found] *= rule.amount
        for index in found:
            named[index] += (rule.name,)
    pins: dict[int, int] = {}
    for rule, found in pinning:
        free = [index for index in found if not excluded[index] and index not in pins.values()]
        if free:
            best = max(free, key=lambda index: (scores[index], -index))
            position = next(place for place in range(rule.position, rule.position + count + 1) if place not in pins)
            pins[position] = best
            named[best] += (rule.name,)
    return Applied(scores, excluded, pins, limits, named)


def _matching(rule: Acting, items: Sequence[Item]) -> list[int]:
    try:
        matches = rule.matches
        return [index for index, item in enumerate(items) if matches(item)]
    except Exception:  # whatever an item holds, a rule must not take a page down
        log.exception("Rule %r failed and is skipped.", rule.name)
        return []
