"""Where the marks of the console's small pictures stand. Coordinates are texts: no locale puts commas in them."""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Any

from recommender.services.comparison import Comparison
from recommender.services.console import Day, span

# Units of the SVGs' view boxes; about pixels on a phone.
BARS_WIDTH, BARS_HEIGHT, BARS_TOP, BARS_FOOT = 420, 120, 16, 18
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


def interval_plot(comparison: Comparison) -> dict[str, Any] | None:
    """The deciding metric with its intervals, one line for each side; None where nobody was measured."""
    found = [
        (side.title, cell.figure)
        for side, cell in zip(comparison.sides, comparison.main.cells, strict=True)
        if cell.figure and cell.figure.low is not None and cell.figure.high is not None
    ]
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
        "label": comparison.main.label,
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
