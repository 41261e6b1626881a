"""Where the marks of the console's small pictures stand. Coordinates are texts: no locale puts commas in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Protocol

from recommender.services.comparison import Comparison
from recommender.services.console import Day, span
from recommender.services.experiments.comparing import Rate

# Units of the SVGs' view boxes; about pixels on a phone.
BARS_WIDTH, BARS_HEIGHT, BARS_TOP, BARS_FOOT = 420, 120, 16, 18
PLOT_MOST = 8  # lines of a plot; the table has the others
PLOT_WIDTH, PLOT_LEFT, PLOT_RIGHT, PLOT_ROW, PLOT_FOOT = 440, 128, 420, 36, 26


def bars(days: Sequence[Day]) -> dict[str, Any]:
    """A bar for each day."""
    most = max((day.events for day in days), default=0)
    slot = BARS_WIDTH / max(len(days), 1)
    floor_y = BARS_HEIGHT - BARS_FOOT
    shown = []
    for place, day in enumerate(days):
        height = day.events / most * (floor_y - BARS_TOP) if most else 0.0
        # A day with few events beside one with many still shows a trace.
        height = max(height, 1.5) if day.events else 0.0
        shown.append(
            {
                "day": day.day,
                "events": day.events,
                "x": f"{place * slot + slot * 0.12:.1f}",
                "middle": f"{(place + 0.5) * slot:.1f}",
                "y": f"{floor_y - height:.1f}",
                "label_y": f"{floor_y - height - 4:.1f}",
                "height": f"{height:.1f}",
                "is_most": bool(most) and day.events == most,
            }
        )
    return {
        "bars": shown,
        "most": most,
        "total": sum(day.events for day in days),
        "width": BARS_WIDTH,
        "height": BARS_HEIGHT,
        "floor": floor_y,
        "foot": BARS_HEIGHT - 5,
        "bar_width": f"{slot * 0.76:.1f}",
    }


class Measured(Protocol):
    """A value with its interval, and both in words."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def text(self) -> str: ...
    @property
    def interval(self) -> str: ...


@dataclass(frozen=True)
class Percents:
    """A rate in percent, as a plot shows it."""

    rate: Rate

    @property
    def value(self) -> float:
        return 100 * self.rate.value

    @property
    def low(self) -> float:
        return 100 * self.rate.interval[0]

    @property
    def high(self) -> float:
        return 100 * self.rate.interval[1]

    @property
    def text(self) -> str:
        return percent(self.rate.value)

    @property
    def interval(self) -> str:
        return percents(*self.rate.interval)


def percent(share: float) -> str:
    """As exact as it deserves: 12.3 %, 1.23 %, 0.123 %."""
    return f"{100 * share:.{_digits(share)}f}\u00a0%"


def percents(low: float, high: float) -> str:
    """An interval: 1.20–1.40 %."""
    digits = _digits(high)
    return f"{100 * low:.{digits}f}–{100 * high:.{digits}f}\u00a0%"


def _digits(share: float) -> int:
    return 1 if share >= 0.1 else 2 if share >= 0.01 or not share else 3


def rates_plot(found: Sequence[tuple[str, Rate]]) -> dict[str, Any] | None:
    """Rates with their intervals, in percent, one line each; None where nothing was counted."""
    return _plot("Percent", [(title, Percents(rate)) for title, rate in found[:PLOT_MOST] if rate.count])


def shares(found: Sequence[tuple[str, float]]) -> dict[str, Any] | None:
    """A bar for each share; None where all are 0."""
    most = max((share for _, share in found), default=0.0)
    if not most:
        return None
    slot, floor_y = BARS_WIDTH / len(found), BARS_HEIGHT - BARS_FOOT
    shown = []
    for place, (label, share) in enumerate(found):
        height = share / most * (floor_y - BARS_TOP)
        shown.append(
            {
                "label": label,
                "text": percent(share),
                "x": f"{place * slot + slot * 0.12:.1f}",
                "middle": f"{(place + 0.5) * slot:.1f}",
                "y": f"{floor_y - height:.1f}",
                "label_y": f"{floor_y - height - 4:.1f}",
                "height": f"{height:.1f}",
            }
        )
    sizes = {"width": BARS_WIDTH, "height": BARS_HEIGHT, "floor": floor_y, "foot": BARS_HEIGHT - 5}
    return {"bars": shown, "bar_width": f"{slot * 0.76:.1f}", "labelled": len(found) <= 8, **sizes}


def interval_plot(comparison: Comparison) -> dict[str, Any] | None:
    """The deciding metric with its intervals, one line for each side; None where nobody was measured."""
    found = [
        (side.title, cell.figure)
        for side, cell in zip(comparison.sides, comparison.main.cells, strict=True)
        if cell.figure and cell.figure.low is not None and cell.figure.high is not None
    ]
    return _plot(comparison.main.label, found)


def _plot(label: str, found: Sequence[tuple[str, Measured]]) -> dict[str, Any] | None:
    if not found:
        return None
    low = min(figure.low for _, figure in found if figure.low is not None)
    high = max(figure.high for _, figure in found if figure.high is not None)
    ticks = _ticks(low, high)
    first, last = ticks[0], ticks[-1]

    def x(value: float) -> str:
        return f"{PLOT_LEFT + (value - first) / (last - first) * (PLOT_RIGHT - PLOT_LEFT):.1f}"

    lines = []
    for place, (title, figure) in enumerate(found):
        assert figure.low is not None and figure.high is not None
        y = PLOT_ROW * (place + 0.6)
        lines.append(
            {
                "title": title,
                "figure": figure,
                "low": x(figure.low),
                "high": x(figure.high),
                "value": x(figure.value),
                "y": f"{y:.1f}",
                "text_y": f"{y + 4:.1f}",
                "value_y": f"{y - 8:.1f}",
            }
        )
    axis = PLOT_ROW * len(found) + 4
    return {
        "label": label,
        "lines": lines,
        "ticks": [{"x": x(tick), "text": f"{tick:.3g}"} for tick in ticks],
        "axis": axis,
        "tick_y": axis + 15,
        "width": PLOT_WIDTH,
        "height": axis + PLOT_FOOT,
        "left": PLOT_LEFT,
        "right": PLOT_RIGHT,
    }


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from at or below `low` to at or above `high`."""
    width = (high - low) or abs(high) or 1.0
    step = 10 ** floor(log10(width / 3))
    step *= next(times for times in (1, 2, 5, 10) if width / (step * times) <= 4)
    first, last = floor(low / step), ceil(high / step)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]


def stage_bars(stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Seconds and peak memory of the finished stages, with their shares of the largest for the bars."""
    longest = max((stage["seconds"] for stage in stages), default=0) or 1
    widest = max((stage["peak_mb"] for stage in stages), default=0) or 1
    return [
        {
            "label": stage["stage"].capitalize(),
            "seconds": span(stage["seconds"]),
            "seconds_share": f"{100 * stage['seconds'] / longest:.1f}",
            "peak_mb": stage["peak_mb"],
            "memory_share": f"{100 * stage['peak_mb'] / widest:.1f}",
        }
        for stage in stages
    ]
