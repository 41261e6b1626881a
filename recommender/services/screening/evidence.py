"""What a verdict rests on, as JSON in `Verdict.evidence`: written once when it is found, read by the console.

    {"figures":  [{"name": "burst_share", "label": "Burst share", "value": 0.9, "usual": 0.1, "low": 0.0, "high": 0.3}],
     "targets":  ["book-7", "book-9"],
     "timeline": [{"day": "2026-03-01", "kinds": {"rating": 3, "view": 3}}],
     "members":  ["shopper-12", "shopper-40"],
     "features": {"burst_share": 0.9},
     "taints":   {"session": "visit-4"} or {"span": [first, last]}}

`figures` are the features that weigh most, the weightiest first, each beside the median (`usual`) and the quartiles
(`low`, `high`) of all rows; `timeline` counts its own events by UTC day and kind; `members` are the ids of the other
rows of its group; `features` are all its features, by which similar cases are found; `taints` tells a session's events,
by its name or by Unix seconds. Every part may be missing: `read` takes what fits and leaves the rest, so that a page
never fails over evidence of an older shape. `verdicts.decide` adds `held`, the rule that a released review or order was
held by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import NO_GROUP, Found

# What is kept of each; a page shows no more, and ten thousand verdicts stay within megabytes.
MOST_FIGURES, MOST_TARGETS, MOST_MEMBERS, MOST_DAYS = 10, 20, 60, 400
LOW, USUAL, HIGH = 25, 50, 75  # percentiles
MAX_NAME = 60  # characters
DAY_S, EPOCH = 86_400, date(1970, 1, 1)


@dataclass(frozen=True)
class Figure:
    """One feature's own value beside the usual ones, in the unit that its name says."""

    name: str
    label: str
    value: float
    usual: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Day:
    day: str
    """As 2026-03-01, in UTC."""
    kinds: dict[str, int]
    """Events of each kind."""

    @property
    def count(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True)
class Evidence:
    figures: list[Figure] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    timeline: list[Day] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    features: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# Making it: once for each Found, then for each row


@dataclass(frozen=True)
class Background:
    """What all rows of a Found have in common; made once."""

    quartiles: NDArray[np.float64]
    """(3, F): lower quartile, median, upper quartile; NaN where nothing is known."""
    members: Mapping[int, NDArray[np.int64]]
    """Rows by group."""


def background(found: Found) -> Background:
    values = np.where(np.isfinite(found.features.values), found.features.values, np.nan)
    quartiles = np.full((3, len(found.features.names)), np.nan)
    known = ~np.isnan(values).all(axis=0) if len(values) else np.zeros(len(found.features.names), dtype=bool)
    if known.any():
        quartiles[:, known] = np.nanpercentile(values[:, known], (LOW, USUAL, HIGH), axis=0)
    members: dict[int, NDArray[np.int64]] = {}
    if found.groups is not None:
        rows = np.flatnonzero(found.groups != NO_GROUP)
        rows = rows[np.argsort(found.groups[rows], kind="stable")]
        numbers, starts = np.unique(found.groups[rows], return_index=True)
        members = dict(zip(numbers.tolist(), np.split(rows, starts[1:]), strict=True)) if len(numbers) else {}
    return Background(quartiles, members)


def build(
    found: Found,
    row: int,
    behind: Background | None = None,
    *,
    times: NDArray[np.int64] | None = None,
    kinds: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`Verdict.evidence` of one row. `times` (Unix seconds) and `kinds` are those of its own events, in any order."""
    behind = behind or background(found)
    names, values = found.features.names, found.features.values[row]
    figures: list[Figure] = []
    for place in np.argsort(-found.contributions[row], kind="stable").tolist():
        if isfinite(values[place]) and len(figures) < MOST_FIGURES:
            low, usual, high = (_number(value) for value in behind.quartiles[:, place])
            name = names[place]
            figures.append(Figure(name, label(name), _rounded(values[place]), usual, low, high))
    group = NO_GROUP if found.groups is None else int(found.groups[row])
    others = [other for other in behind.members.get(group, np.empty(0, np.int64)).tolist() if other != row]
    return Evidence(
        figures=figures,
        targets=[str(item) for item in list(found.targets.get(row, ()))[:MOST_TARGETS]],
        timeline=timeline(times, kinds) if times is not None and kinds is not None else [],
        members=[str(found.features.ids[other]) for other in others[:MOST_MEMBERS]],
        features={name: _rounded(v) for name, v in zip(names, values, strict=True) if isfinite(v)},
    ).as_json()


def timeline(times: NDArray[np.int64], kinds: Sequence[str]) -> list[Day]:
    """Events by UTC day and kind, the earliest first; the latest MOST_DAYS days with events."""
    names, codes = np.unique(np.asarray(kinds, dtype=str), return_inverse=True)
    if not len(names):
        return []
    pairs, counts = np.unique(np.asarray(times) // DAY_S * len(names) + codes, return_counts=True)
    days: dict[str, dict[str, int]] = {}
    for number, code, count in zip(*(np.divmod(pairs, len(names))), counts, strict=True):
        day = (EPOCH + timedelta(days=int(number))).isoformat()
        days.setdefault(day, {})[str(names[code])] = int(count)
    return [Day(day, found) for day, found in days.items()][-MOST_DAYS:]


def label(name: str) -> str:
    """A feature's name for people; its unit is told with the values."""
    return name.removesuffix("_s").removeprefix("seconds_").replace("_", " ").strip().capitalize()


# Reading it


def read(raw: object) -> Evidence:
    """What of `Verdict.evidence` has the shape above; nothing of it where it is empty, older or broken."""
    if not isinstance(raw, Mapping):
        return Evidence()
    return Evidence(
        figures=[one for value in _list(raw, "figures") if (one := _figure(value))][:MOST_FIGURES],
        targets=_texts(raw, "targets")[:MOST_TARGETS],
        timeline=sorted((day for value in _list(raw, "timeline") if (day := _day(value))), key=lambda one: one.day)[
            -MOST_DAYS:
        ],
        members=_texts(raw, "members")[:MOST_MEMBERS],
        features=_floats(raw.get("features")),
    )


def _list(raw: Mapping[Any, Any], name: str) -> list[Any]:
    value = raw.get(name)
    return value if isinstance(value, list) else []


def _texts(raw: Mapping[Any, Any], name: str) -> list[str]:
    return list(dict.fromkeys(str(value) for value in _list(raw, name) if isinstance(value, str | int) and value != ""))


def _figure(raw: object) -> Figure | None:
    if not isinstance(raw, Mapping) or (value := _number(raw.get("value"))) is None:
        return None
    name = str(raw.get("name") or "")[:MAX_NAME]
    said = str(raw.get("label") or label(name))[:MAX_NAME]
    return Figure(name, said, value, *(_number(raw.get(part)) for part in ("usual", "low", "high"))) if said else None


def _day(raw: object) -> Day | None:
    if not isinstance(raw, Mapping):
        return None
    try:
        day = date.fromisoformat(str(raw.get("day"))[:10]).isoformat()
    except ValueError:
        return None
    kinds = {kind: int(count) for kind, count in _floats(raw.get("kinds")).items() if count >= 1}
    count = _number(raw.get("count"))
    if not kinds and count and count >= 1:  # kinds are not known
        kinds = {"event": int(count)}
    return Day(day, kinds) if kinds else None


def _floats(raw: object) -> dict[str, float]:
    if not isinstance(raw, Mapping):
        return {}
    found = {str(name)[:MAX_NAME]: _number(value) for name, value in raw.items()}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return _rounded(number) if isfinite(number) else None


def _rounded(value: float) -> float:
    """To six significant digits, which is more than float32 says."""
    return float(f"{float(value):.6g}")
