"""Where the marks of a verdict's pictures stand. Coordinates are texts: no locale puts commas in them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import ceil, floor, log10
from typing import Any

from recommender.services import console
from recommender.services.screening.evidence import DAY_S, Day, Figure

# Units of the SVGs' view boxes; about pixels on a phone.
WIDTH, HEIGHT, TOP, FOOT, LEFT = 560, 150, 18, 20, 34
STRIP_WIDTH, STRIP_EDGE = 180, 8
MOST_BARS = 62  # beyond, bars stand for weeks, then for whole numbers of weeks
KINDS_SHOWN = 4  # patterns that an eye can tell apart; others are drawn as one
HALF = 0.5  # of the events: what the window of a campaign holds at least
SHORT = 0.25  # of the whole time: a window that is longer is no burst worth pointing at


def timeline(days: Sequence[Day]) -> dict[str, Any] | None:
    """Bars of events by day or week, kinds stacked; and the shortest time that half of them fell into."""
    counts = {date.fromisoformat(day.day): day.kinds for day in days}
    total = sum(day.count for day in days)
    if not total:
        return None
    first, last = min(counts), max(counts)
    step = 1 if (last - first).days < MOST_BARS else 7 * ceil(((last - first).days + 1) / 7 / MOST_BARS)
    slots = max((last - first).days // step + 1, 7)
    bins: list[dict[str, int]] = [{} for _ in range(slots)]
    sums: dict[str, int] = {}
    for day, kinds in counts.items():
        for kind, count in kinds.items():
            place = (day - first).days // step
            bins[place][kind] = bins[place].get(kind, 0) + count
            sums[kind] = sums.get(kind, 0) + count
    named = sorted(sums, key=lambda kind: (-sums[kind], kind))
    shown = named if len(named) <= KINDS_SHOWN else [*named[: KINDS_SHOWN - 1], "other"]
    most = max(sum(kinds.values()) for kinds in bins)
    top = _round_up(most)
    slot, bottom = (WIDTH - LEFT) / slots, HEIGHT - FOOT
    bars = []
    for place, kinds in enumerate(bins):
        y, parts = float(bottom), []
        for number, kind in enumerate(shown):
            count = kinds.get(kind, 0) if kind != "other" else sum(kinds.get(k, 0) for k in named[KINDS_SHOWN - 1 :])
            if count:
                height = count / top * (bottom - TOP)
                y -= height
                parts.append(
                    {"number": number, "kind": kind, "count": count, "y": f"{y:.1f}", "height": f"{height:.1f}"}
                )
        starts = first + timedelta(days=place * step)
        bars.append(
            {
                "starts": starts,
                "ends": starts + timedelta(days=step - 1),
                "x": f"{LEFT + place * slot + slot * 0.1:.1f}",
                "parts": parts,
                "total": sum(kinds.values()),
            }
        )
    window = _window(counts, total)
    return {
        "bars": bars,
        "busy": [bar for bar in bars if bar["total"]],
        "kinds": [
            {
                "number": number,
                "kind": kind,
                "count": sums.get(kind) or sum(sums[other] for other in named[KINDS_SHOWN - 1 :]),
            }
            for number, kind in enumerate(shown)
        ],
        "total": total,
        "most": most,
        "first": first,
        "last": last,
        "weeks": step // 7,
        "bar_width": f"{min(slot * 0.8, 40):.1f}",
        "window": window and _placed(window, first, step, slot),
        "ticks": [
            {"y": f"{bottom - share * (bottom - TOP):.1f}", "text": f"{top * share:g}"}
            for share in ((0.5, 1) if top > 1 and top % 2 == 0 else (1,))
        ],
        "labels": [
            {"x": f"{LEFT + place * slot:.1f}", "day": first + timedelta(days=place * step), "anchor": anchor}
            for place, anchor in ((0, "start"), (slots // 2, "middle"), (slots - 1, "end"))
        ],
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "floor": bottom,
        "top": TOP,
        "foot": HEIGHT - 6,
    }


def _window(counts: dict[date, dict[str, int]], total: int) -> tuple[date, date, int] | None:
    """The shortest time that holds half of the events, where it is short beside the whole."""
    days = sorted(counts)
    sizes = [sum(counts[day].values()) for day in days]
    best: tuple[date, date, int] | None = None
    low = held = 0
    for high, size in enumerate(sizes):
        held += size
        while held - sizes[low] >= total * HALF:
            held -= sizes[low]
            low += 1
        if held >= total * HALF and (best is None or days[high] - days[low] < best[1] - best[0]):
            best = (days[low], days[high], held)
    whole = (days[-1] - days[0]).days + 1
    if best is None or whole < 4 or (best[1] - best[0]).days + 1 > whole * SHORT:
        return None
    return best


def _placed(window: tuple[date, date, int], first: date, step: int, slot: float) -> dict[str, Any]:
    low, high = ((day - first).days // step for day in window[:2])
    return {
        "first": window[0],
        "last": window[1],
        "events": window[2],
        "x": f"{LEFT + low * slot:.1f}",
        "width": f"{(high - low + 1) * slot:.1f}",
    }


def _round_up(value: float) -> float:
    """The next round number: 1, 2, 4, 5, 10, ..."""
    if value <= 2:
        return float(max(value, 1))
    unit = 10 ** floor(log10(value))
    return next(times * unit for times in (1, 2, 4, 5, 6, 8, 10) if times * unit >= value)


def beat(moments: Sequence[datetime]) -> dict[str, Any] | None:
    """A mark for each moment, from the first to the last; None where they have no length."""
    if len(moments) < 3 or moments[-1] <= moments[0]:
        return None
    length_s = (moments[-1] - moments[0]).total_seconds()
    places = ((at - moments[0]).total_seconds() / length_s for at in moments)
    return {
        "marks": [f"{4 + share * (WIDTH - 8):.1f}" for share in places],
        "count": len(moments),
        "took": console.span(length_s),
        "width": WIDTH,
    }


def strips(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """Each figure's own value on a line with the middle half of all and their median, on a scale of its own."""
    made = []
    for one in figures:
        known = [value for value in (one.value, one.low, one.usual, one.high) if value is not None]
        low, high = min(known), max(known)
        width = (high - low) or 1.0

        def x(value: float, low: float = low, width: float = width, single: bool = low == high) -> str:
            share = 0.5 if single else (value - low) / width
            return f"{STRIP_EDGE + share * (STRIP_WIDTH - 2 * STRIP_EDGE):.1f}"

        row: dict[str, Any] = {"label": one.label, "value": said(one.value, one.name), "x": x(one.value)}
        if one.usual is not None:
            row |= {"usual": said(one.usual, one.name), "usual_x": x(one.usual)}
            side = "as usual" if one.value == one.usual else "above" if one.value > one.usual else "below"
            row["side"] = side
        if one.low is not None and one.high is not None and one.low <= one.high:
            band = float(x(one.high)) - float(x(one.low))
            row |= {"low": said(one.low, one.name), "high": said(one.high, one.name)}
            row |= {"band_x": f"{float(x(one.low)) - 1:.1f}", "band_width": f"{band + 2:.1f}"}
            if not one.low <= one.value <= one.high:
                row["side"] = f"{row.get('side', 'outside')}, outside the middle half"
        made.append(row | {"width": STRIP_WIDTH})
    return made


def said(value: float, name: str = "") -> str:
    """A figure for people: three digits, a share as per cent, seconds as a span of time."""
    if name.endswith("_s") or name.startswith("seconds"):
        return f"{value / DAY_S:,.3g} days" if abs(value) >= 2 * DAY_S else console.span(max(value, 0.0))
    if name.endswith(("share", "_ratio")) and 0 <= value <= 1:
        return f"{100 * value:.3g} %"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
