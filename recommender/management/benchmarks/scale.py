"""manage.py benchmark scale --trainer als --events 100000,1000000: how seconds and memory grow."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

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
from recommender.services.benchmarking import plots, processes, scale

EVENTS = "100000,1000000,10000000,20000000"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--events", default=EVENTS, help=f"how many, for each size (default: {EVENTS})")
    shared_arguments(parser)
    plot_arguments(parser)
    parser.add_argument(
        "--rounds", type=int, default=0, help="also measure als against implicit called directly, this often"
    )
    parser.add_argument("--resume", action="store_true", help="keep what the --json file holds already")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = chosen_trainers(options)
    path = options["json"]
    if options["resume"] and not path:
        raise CommandError("--resume needs --json FILE, the file to go on from.")
    check_outputs(options)
    resumed = options["resume"] and path.exists()
    known, known_pairs = scale.from_json(json.loads(path.read_text())) if resumed else ([], [])

    def tell(measured: Sequence[scale.Measured], pairs: Sequence[scale.Pair]) -> None:
        if path:
            path.write_text(json.dumps(scale.scale_json(measured, pairs), indent=1, allow_nan=False))

    measured, pairs = scale.measure_scale(
        trainers,
        numbers("--events", options["events"], EVENTS),
        configs=chosen_configs(options, trainers),
        rounds=options["rounds"],
        seed=options["seed"],
        threads=options["threads"],
        limits=chosen_limits(options),
        known=known,
        known_pairs=known_pairs,
        watch=watch,
        tell=tell,
        run=processes.apart,
    )
    out.write("\n".join(scale.scale_table(measured, pairs)))
    if options["plot"]:
        title = f"synthetic interactions, {options['threads']} threads"
        plots.scale(options["plot"], measured, title, options["clock"])


BENCHMARK = Benchmark("How seconds and memory grow with synthetic events.", add_arguments, run)
