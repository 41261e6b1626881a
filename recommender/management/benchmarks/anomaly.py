"""manage.py benchmark anomaly FILE.npz|FOLDER --detector all: how well detectors tell anomalies from the rest."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.anomaly import DETECTORS
from recommender.management.benchmarks import Benchmark, check_outputs, chosen_limits, watch
from recommender.services.benchmarking import anomaly, anomaly_pages, plots


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="FILE.npz|FOLDER", help="with X (rows, features) and y, 1 = anomaly")
    parser.add_argument(
        "--detector", action="append", choices=[*DETECTORS, "all"], help="may be repeated (default: all)"
    )
    parser.add_argument("--mode", choices=anomaly.MODES, default=anomaly.MODES[0], help="what is learned from")
    parser.add_argument("--no-peers", action="store_true", help="leave PyOD's detectors out")
    parser.add_argument("--config", default="{}", help='JSON: {"knn": {"neighbours": 20}, ...}')
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs to average (default: 3)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument(
        "--most", type=int, default=anomaly.MOST_ROWS, metavar="ROWS",
        help=f"of a set, for everyone the same sample (default: {anomaly.MOST_ROWS})",
    )  # fmt: skip
    parser.add_argument("--minutes-each", type=float, metavar="M", help="stop a detector that takes longer on a set")
    parser.add_argument("--gib-each", type=float, metavar="G", help="stop a detector that holds more memory")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--markdown", type=Path, help="also write the table to this file")
    parser.add_argument("--plot", type=Path, help="also draw it: OUT.svg or OUT.png (needs matplotlib)")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    chosen = list(dict.fromkeys(options["detector"] or ["all"]))
    detectors = list(DETECTORS) if "all" in chosen else chosen
    for name, least in (("seeds", 1), ("seed", 0), ("threads", 1), ("most", anomaly.FEWEST_ROWS)):
        if options[name] < least:
            raise CommandError(f"--{name} must be {least} or more.")
    configs = _configs(options["config"])
    check_outputs(options)
    sets, unreadable = anomaly.collect(options["path"])
    for reason in unreadable.values():
        out.write(reason)
    seeds = tuple(range(options["seed"], options["seed"] + options["seeds"]))
    limits = chosen_limits(options)
    setup = anomaly.Setup(options["mode"], seeds, options["most"], configs, options["threads"], limits)
    peers = [] if options["no_peers"] else list(anomaly.PEERS)
    report = anomaly.measure(sets, unreadable, detectors, peers, setup, watch)
    out.write("\n".join([*anomaly_pages.table(report), "", *anomaly_pages.notes(report)]))
    if options["json"]:
        options["json"].write_text(json.dumps(anomaly_pages.as_json(report), indent=1, allow_nan=False))
    if options["markdown"]:
        options["markdown"].write_text("\n".join([*anomaly_pages.markdown(report), ""]))
    if options["plot"]:
        plots.detectors(options["plot"], _values(report), f"AUROC by set, {options['mode']}")


def _values(report: anomaly.Report) -> dict[str, tuple[bool, list[float]]]:
    """By name: whether it is a peer, and its AUROC on each set that everyone has a figure for."""
    names, sets = report.names, report.complete
    return {who: (who in anomaly.PEERS, [report.value(name, who) for name in sets]) for who in names if sets}


def _configs(text: str) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--config is not JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise CommandError('--config takes a JSON object by detector, such as {"knn": {"neighbours": 20}}.')
    if strange := sorted(set(found) - set(DETECTORS)):
        raise CommandError(f"--config: {strange[0]!r} is no detector.")
    return found


BENCHMARK = Benchmark("How well detectors tell anomalies from the rest, beside PyOD's.", add_arguments, run)
