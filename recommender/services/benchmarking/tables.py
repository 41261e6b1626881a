"""What was measured, as lines to read and as JSON to keep."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from recommender.engine.artifact import versions
from recommender.engine.data.datasets import Dataset
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.gate import BASELINE
from recommender.services.benchmarking.accuracy import (
    Result,
    Row,
    best,
    deciding_metric,
    difference,
    results,
    verdict,
)
from recommender.services.benchmarking.processes import Refusal

OVER = {"better": "better than popularity", "worse": "worse than popularity", "ties": "not told apart from popularity"}


def layout(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns: the first to the left, the others to the right. A row of two cells says its second in words."""
    whole = [row for row in [header, *rows] if len(row) == len(header)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(header))]
    widths[0] = max(widths[0], *(len(row[0]) for row in [header, *rows]))
    lines = []
    for row in [header, ["-" * width for width in widths], *rows]:
        if len(row) < len(header):
            lines.append(f"{row[0].ljust(widths[0])}  {row[1]}")
            continue
        first, *others = zip(row, widths, strict=True)
        lines.append("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))
    return lines


def accuracy_table(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """One trainer a row: each metric with its 95 % interval, the standing beside the best, seconds, peak memory."""
    top = best(rows)
    names = [f"{metric}@{k}" for metric in metrics for k in top.report.ks]
    header = ["trainer", *(f"{name} [95 %]" for name in names), "beside the best"]
    header += ["fit s", "CPU s", "MiB", "score s", "CPU s", "MiB"]
    cells = []
    for row in rows:
        if isinstance(row.found, Refusal):
            cells.append([row.name, f"no result: {row.found.reason}"])
            continue
        result = row.found
        cells.append(
            [
                row.name,
                *(figure(result.report.main[name]) for name in names),
                "best" if result is top else verdict(difference(result, top)),
                *(f"{result.fit_s:.1f}", f"{result.fit_cpu_s:.1f}", f"{result.fit_mib:.0f}"),
                *(f"{result.score_s:.1f}", f"{result.score_cpu_s:.1f}", f"{result.score_mib:.0f}"),
            ]
        )
    return layout(header, cells)


def accuracy_notes(dataset: Dataset, rows: Sequence[Row]) -> list[str]:
    """What the table leaves out, in sentences: the protocol, the users, the settings, the gain over popularity."""
    found = results(rows)
    baseline = found[0]
    metric, warm = deciding_metric(baseline.report), baseline.report.warm
    notes = [
        f"{dataset.name}: {dataset.protocol}. {dataset.train.shape[0]:,} users, {dataset.train.shape[1]:,} items, "
        f"{len(dataset.train):,} events to learn from.",
        f"{int(warm.sum()):,} test users with a history, {int((~warm).sum()):,} cold ones (not in the table). "
        "All items are ranked, but those that a user has.",
        f"Best is the highest {metric}. One that ties with it has a 95 % interval of the difference, over the same "
        "users, that holds 0; one that is worse has not.",
    ]
    for result in found:
        said = [_chosen(result)]
        if not result.peer and (result.trials or dataset.validation is not None):
            said.append(f"{'refitted with' if result.refitted else 'fitted without'} the validation part")
        settings = ", ".join(f"{name}={value}" for name, value in result.config.items()) or "no settings"
        notes.append(f"{result.name}: {settings} ({'; '.join(said)}).")
        if result.settled:
            notes.append(f"{result.name} chose {_settled(result.settled)}.")
        if result.name != BASELINE:
            gain = difference(result, baseline)
            notes.append(
                f"{result.name} over popularity in {metric}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], "
                f"{OVER[verdict(gain)]}."
            )
    return notes


def accuracy_json(dataset: Dataset, rows: Sequence[Row]) -> dict[str, Any]:
    top = best(rows)
    return {
        "dataset": dataset.name,
        "protocol": dataset.protocol,
        "versions": versions(),
        "best": top.name,
        "results": [_as_json(result, results(rows)[0], top) for result in results(rows)],
        "refused": [
            {"trainer": row.name, "reason": row.found.reason} for row in rows if isinstance(row.found, Refusal)
        ],
    }


def figure(interval: Interval) -> str:
    return f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def _chosen(result: Result) -> str:
    if result.peer:
        return "a peer"
    return f"best of {len(result.trials)} on the validation part" if result.trials else "as given"


def _settled(chosen: Mapping[str, Any]) -> str:
    """The parts with their weights, or the one, and what had no time."""
    parts = [f"{part['name']} {part['weight']:.2f}" for part in chosen.get("parts", ())]
    said = ", ".join(parts) or f"{chosen.get('name', chosen['trainer'])} {json.dumps(chosen.get('config', {}))}"
    left_out = [f"{name}: {why}" for name, why in chosen.get("left_out", {}).items()]
    return f"{said}; left out {', '.join(left_out)}" if left_out else said


def _as_json(result: Result, baseline: Result, top: Result) -> dict[str, Any]:
    metric = deciding_metric(result.report)
    beside = difference(result, top)
    return {
        "trainer": result.name,
        "peer": result.peer,
        "config": dict(result.config),
        "trials": [{"config": dict(trial.config), "value": trial.value} for trial in result.trials],
        "settled": dict(result.settled),
        "refitted": result.refitted,
        "fit_s": result.fit_s,
        "fit_cpu_s": result.fit_cpu_s,
        "score_s": result.score_s,
        "score_cpu_s": result.score_cpu_s,
        "fit_mib": result.fit_mib,
        "score_mib": result.score_mib,
        "over_popularity": {metric: difference(result, baseline).as_json()},
        "beside_the_best": {metric: beside.as_json(), "verdict": "best" if result is top else verdict(beside)},
        "report": result.report.as_json(),
    }
