"""A run's recorded figures beside the live run's and popularity's, as a person compares them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recommender.engine.evaluation.gate import BASELINE
from recommender.models import Run

METRICS = {
    "recall": ("Recall", "Share of the items a user went on to choose that stood among the first K."),
    "ndcg": ("NDCG", "The same, where a place near the top counts more."),
    "hit_rate": ("Hit rate", "Share of users with at least one such item among the first K."),
    "mrr": ("MRR", "One divided by the place of the first such item, averaged."),
    "map": ("MAP", "Precision at each such item's place, averaged."),
}
"""Measured per user, so each has a 95 % interval; more is better."""
CATALOGUE = {
    "coverage": ("Coverage", "Share of the catalogue that was recommended to anyone."),
    "novelty": ("Novelty", "How unexpected the recommended items are, in bits."),
    "gini": ("Gini", "0 where all items are shown equally often, near 1 where one item takes all."),
}
"""Measured over all lists at once: no interval, and neither end is simply better."""

SEGMENTS = {
    "history cold": ("Users without a history", ""),
    "items head": ("Popular items", "Items that together make the first third of all choices."),
    "items mid": ("Items in between", "Items that together make the second third of all choices."),
    "items tail": ("Rare items", "Items that together make the last third of all choices."),
}


@dataclass(frozen=True)
class Figure:
    """A measured value; low and high bound its 95 % interval where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        if self.name == "coverage":
            return f"{self.value:.1%}"
        return f"{self.value:.2f}" if self.name in CATALOGUE else f"{self.value:.4f}"

    @property
    def interval(self) -> str:
        return "" if self.low is None or self.high is None else f"{self.low:.4f}–{self.high:.4f}"


@dataclass(frozen=True)
class Cell:
    figure: Figure | None
    mark: str = ""
    """How this run stands to it: better, worse, or same where chance explains the difference."""


@dataclass(frozen=True)
class Row:
    label: str
    hint: str
    cells: list[Cell]
    """One for each side, this run's first."""
    users: int | None = None


@dataclass(frozen=True)
class Side:
    """A column: whose figures they are."""

    title: str
    report: Mapping[str, Any]
    run: Run | None = None


@dataclass(frozen=True)
class Comparison:
    sides: list[Side]
    main: Row
    """The metric that decides, for the picture."""
    rows: list[Row]
    segments: list[Row]
    segment_metric: str
    users: int
    cold_users: int
    cutoff: datetime | None
    """The run was measured by what users chose after it."""


def main_figure(run: Run) -> tuple[str, Figure | None]:
    """The label and value of the metric that a run is judged by: NDCG at the smallest K that was measured."""
    report = _report(run)
    k = _ks(report)[0]
    return f"NDCG@{k}", _figure(report, "ndcg", k)


def compare(run: Run, live: Run | None) -> Comparison | None:
    """None for a run that has not been measured. Figures that an older run did not record are left empty."""
    report = _report(run)
    if not report:
        return None
    sides = [Side("This run", report, run)]
    if live is not None and live.pk != run.pk and (theirs := _report(live)):
        sides.append(Side(f"Live run {live.pk} ({live.trainer})", theirs, live))
    if run.trainer != BASELINE and (floor := run.metrics.get(BASELINE)):
        sides.append(Side("Popularity", floor))
    ks = _ks(report)
    reports = [side.report for side in sides]
    rows = [
        _row(f"{label}@{k}", hint, [_figure(report, name, k) for report in reports])
        for group in (METRICS, CATALOGUE)
        for name, (label, hint) in group.items()
        for k in ks
    ]
    return Comparison(
        sides=sides,
        main=_row(f"NDCG@{ks[0]}", METRICS["ndcg"][1], [_figure(report, "ndcg", ks[0]) for report in reports]),
        rows=[row for row in rows if row.cells[0].figure],
        segments=[_segment(name, reports, ks[0]) for name in report.get("segments", {})],
        segment_metric=f"Recall@{ks[0]}",
        users=report.get("users", 0),
        cold_users=report.get("cold_users", 0),
        cutoff=datetime.fromisoformat(run.metrics["cutoff"]) if run.metrics.get("cutoff") else None,
    )


def _report(run: Run) -> Mapping[str, Any]:
    report: Mapping[str, Any] = run.metrics.get("model") or {}
    return report


def _ks(report: Mapping[str, Any]) -> list[int]:
    return sorted(report.get("ks") or [10])


def _figure(report: Mapping[str, Any], name: str, k: int) -> Figure | None:
    if name in CATALOGUE:
        value = report.get("catalogue", {}).get(f"{name}@{k}")
        return None if value is None else Figure(name, value)
    return _measured(name, report.get("metrics", {}).get(f"{name}@{k}"))


def _measured(name: str, found: Mapping[str, float | None] | None) -> Figure | None:
    if not found or found["value"] is None:
        return None
    return Figure(name, found["value"], found["low"], found["high"])


def _segment(name: str, reports: Iterable[Mapping[str, Any]], k: int) -> Row:
    found = [report.get("segments", {}).get(name, {}) for report in reports]
    figures = [_measured("recall", segment.get("metrics", {}).get(f"recall@{k}")) for segment in found]
    label, hint = SEGMENTS.get(name, (name.replace("history", "Users with") + " events", ""))
    return _row(label, hint, figures, found[0].get("users", 0))


def _row(label: str, hint: str, figures: list[Figure | None], users: int | None = None) -> Row:
    ours, *others = figures
    return Row(label, hint, [Cell(ours), *(Cell(figure, _mark(ours, figure)) for figure in others)], users)


def _mark(ours: Figure | None, theirs: Figure | None) -> str:
    if ours is None or theirs is None or ours.low is None or theirs.low is None:
        return ""
    assert ours.high is not None and theirs.high is not None
    return "better" if ours.low > theirs.high else "worse" if ours.high < theirs.low else "same"
