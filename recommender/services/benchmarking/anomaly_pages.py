"""What was measured of detectors, as lines to read, as markdown, and as JSON to keep."""

from dataclasses import asdict
from typing import Any

import numpy as np

from recommender.engine.anomaly import make_config
from recommender.engine.artifact import versions
from recommender.services.benchmarking.anomaly import PEERS, Measured, Report
from recommender.services.benchmarking.processes import Refusal
from recommender.services.benchmarking.tables import layout

MEASURES = ("auroc", "ap", "fit_s", "score_s")


def table(report: Report) -> list[str]:
    """AUROC in percent by set and detector, then means."""
    header = ["set", "rows", "features", "odd %", *report.names]
    cells = [
        [
            *(one.name, f"{one.rows:,}", str(one.features), f"{100 * one.anomalies / one.rows:.1f}"),
            *(_percent(report.value(one.name, who)) for who in report.names),
        ]
        for one in report.sets
    ]
    blank = ["", "", ""]
    cells.append(["mean AUROC", *blank, *(_percent(report.mean(who), 2) for who in report.names)])
    cells.append(["mean average precision", *blank, *(_percent(report.mean(who, "ap"), 2) for who in report.names)])
    for measure, title in (("fit_s", "seconds to fit, mean"), ("score_s", "seconds to score, mean")):
        cells.append([title, *blank, *(f"{report.mean(who, measure):.2f}" for who in report.names)])
    return layout(header, cells)


def markdown(report: Report) -> list[str]:
    """The table for a page of documentation."""
    lines = [line.split("\t") for line in _tabbed(report)]
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    return ["| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]]]


def notes(report: Report) -> list[str]:
    """The protocol, what was sampled, what failed, and how the ensemble stands beside its parts."""
    setup = report.setup
    said = {
        "unsupervised": "Learned from all rows without labels; all are scored.",
        "normal-only": "Learned from half of the usual rows; the other half and all anomalies are scored.",
    }
    seeds = ", ".join(map(str, setup.seeds))
    lines = [f"{setup.mode}: {said[setup.mode]} AUROC in percent, means over seeds {seeds}."]
    if large := [one.name for one in report.sets if one.rows > setup.most_rows]:
        lines.append(f"Sampled to {setup.most_rows:,} rows by seed, the same for everyone: {', '.join(large)}.")
    if len(report.complete) < len(report.sets):
        lines.append(f"Means are over the {len(report.complete)} sets that everyone has a figure for.")
    if scaled := [who for who in report.names if who in PEERS and PEERS[who].minmax]:
        lines.append(f"Rows scaled to 0..1 by those learned from, as in ADBench, for: {', '.join(scaled)}.")
    for name in report.names:
        if name not in PEERS and (settings := setup.settings(name)):
            lines.append(f"{name}: {', '.join(f'{key}={value}' for key, value in settings.items())}.")
    for one in report.sets:
        cells = report.found[one.name].items()
        lines += [f"{one.name}, {who}: no result: {cell.reason}" for who, cell in cells if isinstance(cell, Refusal)]
    lines += [f"{name} left out: {reason}" for name, reason in report.unreadable.items()]
    return lines + _beside_parts(report)


def as_json(report: Report) -> dict[str, Any]:
    def cell(found: Measured | Refusal) -> dict[str, Any]:
        return {"refused": found.reason} if isinstance(found, Refusal) else asdict(found)

    setup = report.setup
    return {
        "mode": setup.mode,
        "seeds": list(setup.seeds),
        "most_rows": setup.most_rows,
        "versions": versions(),
        "settings": {who: setup.settings(who) for who in report.names if who not in PEERS},
        "sets": [
            {
                **{key: getattr(one, key) for key in ("name", "rows", "features", "anomalies")},
                "results": {who: cell(found) for who, found in report.found[one.name].items()},
            }
            for one in report.sets
        ],
        "means_over": report.complete,
        "means": {who: {name: report.mean(who, name) for name in MEASURES} for who in report.names}
        if report.complete
        else {},
        "unreadable": dict(report.unreadable),
    }


def _beside_parts(report: Report) -> list[str]:
    if "ensemble" not in report.names:
        return []
    parts = [name for name in make_config("ensemble", report.setup.settings("ensemble")).parts if name in report.names]
    if len(parts) < 2 or not report.complete:
        return []
    gaps = {
        name: report.value(name, "ensemble") - float(np.median([report.value(name, part) for part in parts]))
        for name in report.complete
    }
    middle = float(np.median([report.mean(part) for part in parts]))
    worse = [f"{name} ({100 * gap:+.1f})" for name, gap in gaps.items() if gap < 0]
    return [
        f"ensemble beside the median of {', '.join(parts)}: {100 * (report.mean('ensemble') - middle):+.2f} in the "
        f"mean; at least it on {len(gaps) - len(worse)} of {len(gaps)} sets"
        + (f", below it on {', '.join(worse)}." if worse else ".")
    ]


def _tabbed(report: Report) -> list[str]:
    lines = ["\t".join(["set", "rows", "anomalies", *report.names])]
    for one in report.sets:
        values = (_percent(report.value(one.name, who)) for who in report.names)
        lines.append("\t".join([one.name, f"{one.rows:,}", f"{100 * one.anomalies / one.rows:.1f} %", *values]))
    for title, measure in (("mean AUROC", "auroc"), ("mean average precision", "ap")):
        lines.append("\t".join([title, "", "", *(_percent(report.mean(who, measure), 2) for who in report.names)]))
    seconds = (f"{report.mean(who, 'fit_s') + report.mean(who, 'score_s'):.2f}" for who in report.names)
    return [*lines, "\t".join(["seconds, mean", "", "", *seconds])]


def _percent(value: float, digits: int = 1) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.{digits}f}"
