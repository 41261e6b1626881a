"""Plots of what was measured, on a white card, so that they can be read on light and dark pages alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import Any

from recommender.engine.errors import RecommenderError
from recommender.services.benchmarking.accuracy import Row, deciding_metric, results
from recommender.services.benchmarking.scale import Measured, exponent

OURS, PEERS, FAINT, LEAD, INK = "#1f6feb", "#b35900", "#d0d7de", "#9aa4af", "#1f2328"
COLOURS = ("#1f6feb", "#b35900", "#1a7f37", "#8250df", "#bf3989", "#57606a", "#9a6700", "#0a7d91", "#cf222e", "#24292f")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
LABEL_STEP = 0.042  # of the height, between names
FORMATS = (".svg", ".png")
CLOCKS = {"wall": "seconds", "cpu": "CPU seconds of all cores"}


class PlotsMissing(RecommenderError):
    """Plots need matplotlib: pip install -r requirements-benchmarks.txt."""


def check(path: Path) -> None:
    """Raises PlotsMissing or RecommenderError, before anything is measured."""
    if path.suffix not in FORMATS:
        raise RecommenderError(f"--plot writes {' or '.join(FORMATS)}, not {path.name}.")
    if not path.resolve().parent.is_dir():
        raise RecommenderError(f"--plot: {path.parent} is not a folder.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise PlotsMissing() from error


@dataclass(frozen=True)
class Point:
    """One trainer, or a peer, on the plot of accuracy against cost."""

    name: str
    peer: bool
    cost_s: float
    value: float
    low: float
    high: float


def points(rows: Sequence[Row], clock: str = "wall") -> list[Point]:
    """Every result's deciding metric against its seconds by the "wall" or of the "cpu"."""
    found = results(rows)
    metric = deciding_metric(found[0].report)
    return [
        Point(result.name, result.peer, result.cost_s(clock), **vars(result.report.main[metric])) for result in found
    ]


def accuracy(path: Path, found: Sequence[Point], metric: str, title: str, clock: str = "wall") -> None:
    """The metric with its interval against seconds to fit and to score, trainers named."""
    figure, (axes,) = _figure(1, (8.5, 5.0))
    for peers, mark, colour in ((False, "o", OURS), (True, "D", PEERS)):
        own = [point for point in found if point.peer is peers]
        if not own:
            continue
        spread = [[point.value - point.low for point in own], [point.high - point.value for point in own]]
        axes.errorbar(
            [point.cost_s for point in own], [point.value for point in own], yerr=spread, fmt=mark, color=colour,
            markersize=6, capsize=3, elinewidth=1.2, label="other projects" if peers else "recsite",
        )  # fmt: skip
    axes.set_xscale("log")
    _labels(axes, [(point.cost_s, point.value, point.name.removeprefix("peer: ")) for point in found])
    axes.set_xlabel(f"{CLOCKS[clock]} to fit and to score all test users (log scale)")
    axes.set_ylabel(f"{metric.replace('ndcg', 'NDCG')}, 95 % interval")
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(frameon=False, loc="upper left")
    _save(figure, path)


def scale(path: Path, measured: Sequence[Measured], title: str, clock: str = "wall") -> None:
    """Seconds and peak memory against events, both axes logarithmic, with fitted exponents."""
    figure, panels = _figure(2, (11.0, 6.0))
    quantities = (
        ("fit_cpu_s" if clock == "cpu" else "fit_s", f"{CLOCKS[clock]} to fit"),
        ("peak_mib", "peak memory, MiB"),
    )
    for axes, (quantity, label) in zip(panels, quantities, strict=True):
        for (name, colour), mark in zip(
            zip(dict.fromkeys(one.label for one in measured), cycle(COLOURS)), cycle(MARKS)
        ):
            own = sorted((one for one in measured if one.label == name and not one.refusal), key=lambda one: one.events)
            if not own:
                continue
            power = exponent([one.events for one in own], [getattr(one, quantity) for one in own])
            axes.plot(
                [one.events for one in own], [getattr(one, quantity) for one in own], marker=mark, color=colour,
                linewidth=1.4, markersize=5, label=name if power is None else f"{name}: events^{power:.2f}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("events")
        axes.set_ylabel(label)
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    panels[0].set_title(title, loc="left", fontsize=11)
    _save(figure, path)


def detectors(path: Path, found: Mapping[str, tuple[bool, Sequence[float]]], title: str) -> None:
    """Each detector's AUROC on every set as dots, and their mean; `found` says by name whether it is a peer."""
    figure, (axes,) = _figure(1, (8.5, 1.2 + 0.36 * len(found)))
    ordered = sorted((name for name in found if found[name][1]), key=lambda name: mean(found[name][1]))
    for height, name in enumerate(ordered):
        peer, values = found[name]
        colour = PEERS if peer else OURS
        axes.scatter([100 * value for value in values], [height] * len(values), s=14, color=colour, alpha=0.35)
        axes.scatter([100 * mean(values)], [height], s=70, marker="D" if peer else "o", color=colour)
        axes.annotate(f"{100 * mean(values):.1f}", (1.01, height), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(range(len(ordered)), ordered)
    axes.set_xlabel("AUROC, percent: one dot a set, the mean large")
    axes.set_title(title, loc="left", fontsize=11)
    _save(figure, path)


def damage(path: Path, found: Mapping[str, Sequence[tuple[str, float, float]]], title: str) -> None:
    """By trainer, a panel: what each kind of attack gains without and with the defence."""
    figure, panels = _figure(len(found), (6.0 * len(found), 4.2))
    for axes, (name, own) in zip(panels, found.items(), strict=True):
        places = range(len(own))
        for shift, part, colour, label in ((0.2, 1, PEERS, "without the defence"), (-0.2, 2, OURS, "with it")):
            axes.barh(
                [place + shift for place in places], [100 * one[part] for one in own], 0.38, color=colour, label=label
            )
        axes.set_yticks(list(places), [one[0] for one in own])
        axes.set_xlabel("attacker's gain, % of the real users")
        axes.set_title(f"{title}: {name}", loc="left", fontsize=11)
        axes.legend(frameon=False)
    _save(figure, path)


def _figure(panels: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # no pyplot: it keeps what it draws, and looks for a screen

    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0].tolist()
    for one in axes:
        one.set_facecolor("white")
        one.grid(True, color=FAINT, linewidth=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(colors=INK)
    return figure, axes


def _labels(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Names in a column on the right, in the order of their points, each tied to its own by a thin line."""
    low, high = axes.get_ylim()
    ordered = sorted(points, key=lambda point: -point[1])
    heights, above = [], 1 + LABEL_STEP
    for _, y, _ in ordered:
        above = min((y - low) / (high - low), above - LABEL_STEP)
        heights.append(above)
    lowest = 0.0
    for place in reversed(range(len(heights))):  # and up again, where the last would fall off the end
        heights[place] = max(heights[place], lowest)
        lowest = heights[place] + LABEL_STEP
    for (x, y, name), height in zip(ordered, heights, strict=True):
        axes.annotate(
            name, (x, y), xytext=(1.03, height), textcoords="axes fraction", fontsize=8.5, color=INK, va="center",
            arrowprops={"arrowstyle": "-", "color": LEAD, "linewidth": 0.8, "zorder": 0, "shrinkB": 4},
        )  # fmt: skip


def _save(figure: Any, path: Path) -> None:
    from matplotlib import rc_context

    # Text as text, and the same bytes for the same figures.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "recsite", "font.family": "sans-serif"}):
        figure.savefig(path, dpi=150, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)
