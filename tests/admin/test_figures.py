"""Figures side by side, and where the marks of the pictures stand. No database."""

import copy
from datetime import date, timedelta
from typing import Any

import pytest

from recommender.admin import charts
from recommender.models import Run
from recommender.services.comparison import Figure, compare, main_figure
from recommender.services.console import Day, span


def run_with(metrics: dict[str, Any], pk: int = 1, trainer: str = "als") -> Run:
    return Run(pk=pk, trainer=trainer, metrics=metrics)


def moved(figures: dict[str, Any], by: float) -> dict[str, Any]:
    """The figures with every per-user metric of the model moved, interval and all."""
    metrics = copy.deepcopy(figures["metrics"])
    for interval in metrics["model"]["metrics"].values():
        for key in interval:
            interval[key] += by
    return metrics


@pytest.mark.parametrize(("by", "mark"), [(-10, "better"), (0, "same"), (10, "worse")])
def test_mark_where_the_intervals_part(figures: dict[str, Any], by: float, mark: str) -> None:
    found = compare(run_with(figures["metrics"]), run_with(moved(figures, by), pk=2))
    assert found is not None
    assert [side.title for side in found.sides] == ["This run", "Live run 2 (als)", "Popularity"]
    assert found.main.cells[1].mark == mark
    coverage = next(row for row in found.rows if row.label == "Coverage@10")
    assert coverage.cells[1].mark == ""


def test_every_metric_and_segment_has_its_row(figures: dict[str, Any]) -> None:
    found = compare(run_with(figures["metrics"]), None)
    assert found is not None
    labels = [row.label for row in found.rows]
    for name in ("Recall", "NDCG", "MRR", "MAP", "Coverage", "Novelty", "Gini"):
        assert {f"{name}@10", f"{name}@20"} <= set(labels)
    assert [row.label for row in found.segments] == [
        "Users without a history",
        "Users with 1-5 events",
        "Users with 6-20 events",
        "Users with 21+ events",
        "Popular items",
        "Items in between",
        "Rare items",
    ]
    assert sum(row.users or 0 for row in found.segments[:4]) == found.users + found.cold_users


def test_the_live_run_is_not_compared_with_itself(figures: dict[str, Any]) -> None:
    run = run_with(figures["metrics"])
    found = compare(run, run)
    assert found is not None
    assert [side.title for side in found.sides] == ["This run", "Popularity"]


def test_popularity_is_not_compared_with_itself(figures: dict[str, Any]) -> None:
    found = compare(run_with(figures["metrics"], trainer="popularity"), None)
    assert found is not None
    assert len(found.sides) == 1


def test_run_without_figures(figures: dict[str, Any]) -> None:
    assert compare(run_with({}), run_with(figures["metrics"], pk=2)) is None
    assert main_figure(run_with({})) == ("NDCG@10", None)


def test_run_beside_a_live_one_without_figures(figures: dict[str, Any]) -> None:
    found = compare(run_with(figures["metrics"]), run_with({}, pk=2))
    assert found is not None
    assert [side.title for side in found.sides] == ["This run", "Popularity"]


def test_nobody_to_measure_leaves_the_cells_empty(figures: dict[str, Any]) -> None:
    metrics = copy.deepcopy(figures["metrics"])
    for interval in metrics["model"]["metrics"].values():
        interval.update(value=None, low=None, high=None)
    found = compare(run_with(metrics), None)
    assert found is not None
    assert found.main.cells[0].figure is None
    assert charts.interval_plot(found) is not None  # popularity's line is still there


def test_interval_plot_keeps_everything_inside(figures: dict[str, Any]) -> None:
    found = compare(run_with(figures["metrics"]), run_with(moved(figures, 0.2), pk=2))
    assert found is not None
    plot = charts.interval_plot(found)
    assert plot is not None
    assert len(plot["lines"]) == 3
    for line in plot["lines"]:
        assert plot["left"] <= float(line["low"]) <= float(line["value"]) <= float(line["high"]) <= plot["right"]
    assert 2 <= len(plot["ticks"]) <= 7


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.1, 0.1), (0.0312, 0.0977), (0.0, 1.0), (1e-6, 2e-6)])
def test_ticks_surround_the_interval(low: float, high: float) -> None:
    ticks = charts._ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 7
    assert len(set(ticks)) == len(ticks)


def test_bars_are_in_proportion() -> None:
    days = [Day(date(2026, 3, 1) + timedelta(days=k), events) for k, events in enumerate([0, 50, 100, 1])]
    chart = charts.bars(days)
    heights = [float(bar["height"]) for bar in chart["bars"]]
    assert heights[0] == 0
    assert heights[1] == pytest.approx(heights[2] / 2, abs=0.1)
    assert heights[3] > 1  # one event among many still shows
    assert chart["total"] == 151


def test_bars_of_nothing() -> None:
    assert charts.bars([Day(date(2026, 3, 1), 0)])["total"] == 0
    assert charts.bars([])["bars"] == []


def test_stage_bars_of_quick_stages() -> None:
    [bar] = charts.stage_bars([{"stage": "load", "seconds": 0.0, "peak_mb": 0}])
    assert (bar["seconds_share"], bar["memory_share"]) == ("0.0", "0.0")
    assert charts.stage_bars([]) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.4, "0.4 s"), (8.2, "8 s"), (59.6, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (3780, "1 h 3 min")],
)
def test_span(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_figures_as_text() -> None:
    assert Figure("ndcg", 0.07124, 0.065, 0.0771).text == "0.0712"
    assert Figure("ndcg", 0.07124, 0.065, 0.0771).interval == "0.0650–0.0771"
    assert Figure("coverage", 0.1234).text == "12.3%"
    assert Figure("gini", 0.9, None, None).interval == ""
