"""manage.py benchmark accuracy ml-1m --trainer als --tune: measure on real data, with intervals."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.metrics import PER_USER
from recommender.management.benchmarks import (
    Benchmark,
    check_outputs,
    chosen_configs,
    chosen_limits,
    chosen_trainers,
    numbers,
    plot_arguments,
    shared_arguments,
    watch,
)
from recommender.management.data_arguments import add_data_arguments, chosen_dataset
from recommender.services.benchmarking import agreement, peers, plots, processes, tables
from recommender.services.benchmarking.accuracy import Setup, deciding_metric, measure_accuracy, results

TRIALS = 20


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--k", default="10,20", help="lengths of the lists looked at (default: 10,20)")
    parser.add_argument("--metrics", default="recall,ndcg", help=f"of {', '.join(PER_USER)} (default: recall,ndcg)")
    shared_arguments(parser)
    plot_arguments(parser)
    parser.add_argument(
        "--tune", nargs="?", type=int, const=TRIALS, default=0, metavar="TRIALS",
        help=f"choose settings on the validation part by a search (default: {TRIALS} trials)",
    )  # fmt: skip
    parser.add_argument("--refit", action="store_true", help="learn from the set's own validation part too, at the end")
    parser.add_argument(
        "--peers", action="store_true",
        help="measure other projects' recommenders with the same settings, and compare their metrics with ours",
    )  # fmt: skip


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = chosen_trainers(options)
    metrics = options["metrics"].split(",")
    if strange := set(metrics) - set(PER_USER):
        raise CommandError(f"--metrics: {', '.join(sorted(strange))} is none of {', '.join(PER_USER)}.")
    setup = Setup(
        ks=numbers("--k", options["k"], "10,20"),
        configs=chosen_configs(options, trainers),
        tune_trials=options["tune"],
        refit=options["refit"],
        seed=options["seed"],
        threads=options["threads"],
        keep_lists=options["peers"],
        limits=chosen_limits(options),
    )
    check_outputs(options)
    dataset = chosen_dataset(options)
    rows = measure_accuracy(dataset, trainers, setup, watch, processes.apart)
    found: list[agreement.Agreement] = []
    missing = ""
    if options["peers"]:
        rows += peers.measure_peers(dataset, [row.name for row in rows], setup, watch)
        found, missing = agreement.compare(results(rows), dataset, setup)
    out.write("\n".join(tables.accuracy_table(rows, metrics)))
    out.write("\n" + "\n".join([*tables.accuracy_notes(dataset, rows), *agreement.notes(found, missing)]))
    if options["json"]:
        kept = tables.accuracy_json(dataset, rows) | {"metrics_compared": [asdict(one) for one in found]}
        options["json"].write_text(json.dumps(kept, indent=1, allow_nan=False))
    if options["plot"]:
        clock, metric = options["clock"], deciding_metric(results(rows)[0].report)
        plots.accuracy(options["plot"], plots.points(rows, clock), metric, dataset.name, clock)


BENCHMARK = Benchmark("How well trainers find what users took next.", add_arguments, run)
