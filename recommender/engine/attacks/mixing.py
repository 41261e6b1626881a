"""Fake visitors among the real ones: nothing in the order of ids or rows tells who is who."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recommender.engine.attacks.profiles import Plan
from recommender.engine.data.activity import Activity
from recommender.engine.data.ids import Ids

DIGITS, LETTERS = "0123456789", "abcdefghijklmnopqrstuvwxyz"
HEX = "0123456789abcdef"
TRIES = 8  # of other last letters for an id, before it gets longer


def mix(
    activity: Activity, plan: Plan, times: NDArray[np.int64], sessions: NDArray[np.int64], random: np.random.Generator
) -> tuple[Activity, NDArray[np.bool_]]:
    """The events of both in order of time, and which visitors are fake, bool (U,). `sessions` from 0, or -1."""
    count, real = len(plan.groups), len(activity)
    names = invented(activity.visitors, count, random)
    visitors = Ids.of([*activity.visitors.all, *names])
    fake_rows, real_rows = visitors.rows(names), visitors.rows(activity.visitors.all)
    # Real events keep their order; fake ones fall in between at random where times are the same.
    places = np.concatenate((np.arange(real), _rising(plan.profiles, random) * max(real, 1)))
    moments = np.concatenate((activity.times, times))
    order = np.lexsort((places, moments))
    sessions = np.where(sessions < 0, sessions, sessions + activity.sessions.max(initial=0) + 1)
    mixed = replace(
        activity,
        visitors=visitors,
        visitor_rows=np.concatenate((real_rows[activity.visitor_rows], fake_rows[plan.profiles]))[order],
        item_rows=np.concatenate((activity.item_rows, plan.items.astype(np.int32)))[order],
        kinds=np.concatenate((activity.kinds, plan.kinds))[order],
        values=np.concatenate((activity.values, plan.values))[order],
        times=moments[order],
        sessions=np.concatenate((activity.sessions, sessions))[order],
    )
    fake = np.zeros(len(visitors), dtype=np.bool_)
    fake[fake_rows] = True
    return mixed, fake


def invented(ids: Ids, count: int, random: np.random.Generator) -> list[str]:
    """New ids that look like the others and lie anywhere among them: each beside a real one, in the sorted order."""
    taken, found = set(ids.all), []
    for row in random.integers(len(ids), size=count).tolist():
        model = ids.id(row)
        hexadecimal = not model.isdigit() and all(letter in HEX + "-" for letter in model.lower())
        tries = (model[:-1] + _like(model[-1:], hexadecimal, random) for _ in range(TRIES))
        name = next((name for name in tries if name not in taken), model)
        while name in taken:
            name += DIGITS[random.integers(10)]
        taken.add(name)
        found.append(name)
    return found


def _like(letter: str, hexadecimal: bool, random: np.random.Generator) -> str:
    """Another letter for a letter, another digit for a digit; anything else stays."""
    digit = letter.isdecimal()
    if not (digit or letter.lower() in LETTERS):
        return letter
    kind = HEX if hexadecimal else DIGITS if digit else LETTERS
    drawn = kind[random.integers(len(kind))]
    return drawn.upper() if letter.isupper() else drawn


def _rising(profiles: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """Numbers from 0 to 1 that rise within each profile; profiles sorted."""
    drawn = random.random(len(profiles))
    return drawn[np.lexsort((drawn, profiles))]
