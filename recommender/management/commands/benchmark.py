"""manage.py benchmark accuracy ml-1m --trainer als --tune: measure on real data, with intervals.

manage.py benchmark scale --trainer als --events 100000,1000000: how seconds and memory grow.
manage.py benchmark cold ml-1m --trainer two_tower: how well items that nobody has taken yet are found.
"""

import json
import os
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from tqdm import tqdm

from recommender.engine.errors import RecommenderError
from recommender.engine.metrics import PER_USER
from recommender.engine.trainers import TRAINERS, Progress
from recommender.management.data_arguments import add_data_arguments, chosen_dataset, settings_by_trainer
from recommender.services.benchmarking import agreement, cold, peers, plots, processes, scale, tables
from recommender.services.benchmarking.accuracy import Setup, deciding_metric, measure_accuracy, results
from recommender.services.benchmarking.processes import Limits

TRIALS = 20
EVENTS = "100000,1000000,10000000,20000000"
NEWCOMERS = ["two_tower", "als"]  # one that knows items by their features, and one that does not


@dataclass(frozen=True)
class Benchmark:
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Mapping[str, Any], OutputWrapper], None]


class Command(BaseCommand):
    help = "Measure trainers, on real data (RECSITE_DATA names the folder with the data sets) or by size."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="benchmark", required=True)
        for name, benchmark in BENCHMARKS.items():
            benchmark.add_arguments(kinds.add_parser(name, help=benchmark.help, description=benchmark.help))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            BENCHMARKS[options["benchmark"]].run(options, self.stdout)
        except RecommenderError as error:
            raise CommandError(str(error)) from error


def _accuracy_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--k", default="10,20", help="lengths of the lists looked at (default: 10,20)")
    parser.add_argument("--metrics", default="recall,ndcg", help=f"of {', '.join(PER_USER)} (default: recall,ndcg)")
    _shared_arguments(parser)
    _plot_arguments(parser)
    parser.add_argument(
        "--tune", nargs="?", type=int, const=TRIALS, default=0, metavar="TRIALS",
        help=f"choose settings on the validation part by a search (default: {TRIALS} trials)",
    )  # fmt: skip
    parser.add_argument("--refit", action="store_true", help="learn from the set's own validation part too, at the end")
    parser.add_argument(
        "--peers", action="store_true",
        help="measure other projects' recommenders with the same settings, and compare their metrics with ours",
    )  # fmt: skip


def _scale_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--events", default=EVENTS, help=f"how many, for each size (default: {EVENTS})")
    _shared_arguments(parser)
    _plot_arguments(parser)
    parser.add_argument(
        "--rounds", type=int, default=0, help="also measure als against implicit called directly, this often"
    )
    parser.add_argument("--resume", action="store_true", help="keep what the --json file holds already")


def _cold_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--share", type=float, default=0.2, help="of the items, to keep out (default: 0.2)")
    parser.add_argument("--k", default="20", help="length of the lists looked at (default: 20)")
    _shared_arguments(parser, NEWCOMERS)


def _shared_arguments(parser: ArgumentParser, usual: Sequence[str] = ("als",)) -> None:
    parser.add_argument(
        "--trainer", action="append", choices=[*TRAINERS, "all"],
        help=f"may be repeated (default: {', '.join(usual)})",
    )  # fmt: skip
    parser.add_argument(
        "--skip", action="append", choices=list(TRAINERS), default=[], help="leave out; may be repeated"
    )
    parser.add_argument("--config", default="{}", help='JSON: settings, or {"als": settings, ...} for several trainers')
    parser.add_argument("--configs", type=Path, help="a file of such JSON; what --config says goes first")
    parser.add_argument("--minutes-each", type=float, metavar="M", help="stop a trainer that takes longer")
    parser.add_argument("--gib-each", type=float, metavar="G", help="stop a trainer that holds more memory")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def _plot_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--plot", type=Path, help="also draw it: OUT.svg or OUT.png (needs matplotlib)")
    parser.add_argument(
        "--clock", choices=list(plots.CLOCKS), default="wall",
        help="the seconds that the plot shows: cpu where others compute too (default: wall)",
    )  # fmt: skip


def _accuracy(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = _trainers(options)
    metrics = options["metrics"].split(",")
    if strange := set(metrics) - set(PER_USER):
        raise CommandError(f"--metrics: {', '.join(sorted(strange))} is none of {', '.join(PER_USER)}.")
    setup = Setup(
        ks=_numbers("--k", options["k"], "10,20"),
        configs=_configs(options, trainers),
        tune_trials=options["tune"],
        refit=options["refit"],
        seed=options["seed"],
        threads=options["threads"],
        keep_lists=options["peers"],
        limits=_limits(options),
    )
    _check_outputs(options)
    dataset = chosen_dataset(options)
    rows = measure_accuracy(dataset, trainers, setup, _watch, processes.apart)
    found: list[agreement.Agreement] = []
    missing = ""
    if options["peers"]:
        rows += peers.measure_peers(dataset, [row.name for row in rows], setup, _watch)
        found, missing = agreement.compare(results(rows), dataset, setup)
    out.write("\n".join(tables.accuracy_table(rows, metrics)))
    out.write("\n" + "\n".join([*tables.accuracy_notes(dataset, rows), *agreement.notes(found, missing)]))
    if options["json"]:
        kept = tables.accuracy_json(dataset, rows) | {"metrics_compared": [asdict(one) for one in found]}
        options["json"].write_text(json.dumps(kept, indent=1, allow_nan=False))
    if options["plot"]:
        clock, metric = options["clock"], deciding_metric(results(rows)[0].report)
        plots.accuracy(options["plot"], plots.points(rows, clock), metric, dataset.name, clock)


def _scale(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = _trainers(options)
    path = options["json"]
    if options["resume"] and not path:
        raise CommandError("--resume needs --json FILE, the file to go on from.")
    _check_outputs(options)
    resumed = options["resume"] and path.exists()
    known, known_pairs = scale.from_json(json.loads(path.read_text())) if resumed else ([], [])

    def tell(measured: Sequence[scale.Measured], pairs: Sequence[scale.Pair]) -> None:
        if path:
            path.write_text(json.dumps(scale.scale_json(measured, pairs), indent=1, allow_nan=False))

    measured, pairs = scale.measure_scale(
        trainers,
        _numbers("--events", options["events"], EVENTS),
        configs=_configs(options, trainers),
        rounds=options["rounds"],
        seed=options["seed"],
        threads=options["threads"],
        limits=_limits(options),
        known=known,
        known_pairs=known_pairs,
        watch=_watch,
        tell=tell,
        run=processes.apart,
    )
    out.write("\n".join(scale.scale_table(measured, pairs)))
    if options["plot"]:
        title = f"synthetic interactions, {options['threads']} threads"
        plots.scale(options["plot"], measured, title, options["clock"])


def _cold(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = _trainers(options, NEWCOMERS)
    lengths = _numbers("--k", options["k"], "20")
    if len(lengths) > 1:
        raise CommandError("--k takes one length here.")
    if not 0 < options["share"] < 1:
        raise CommandError("--share must be between 0 and 1.")
    _check_outputs(options)
    dataset = chosen_dataset(options)
    kept = cold.Cold.of(dataset, options["share"], options["seed"])
    setup = cold.Setup(
        lengths[0], _configs(options, trainers), options["seed"], options["threads"], limits=_limits(options)
    )
    rows = cold.measure_cold(kept, trainers, setup, _watch, processes.apart)
    out.write("\n".join(cold.cold_table(dataset, kept, rows, setup.k)))
    if options["json"]:
        options["json"].write_text(json.dumps(cold.cold_json(dataset, kept, rows, setup.k), indent=1, allow_nan=False))


def _trainers(options: Mapping[str, Any], usual: Sequence[str] = ("als",)) -> list[str]:
    named = options["trainer"] or usual
    named = list(TRAINERS) if "all" in named else list(dict.fromkeys(named))
    kept = [name for name in named if name not in options["skip"]]
    if not kept:
        raise CommandError("--skip leaves no trainer to measure.")
    return kept


def _numbers(option: str, text: str, example: str) -> list[int]:
    """Distinct whole numbers above 0, rising."""
    try:
        numbers = sorted({int(number) for number in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise CommandError(f"{option} takes whole numbers above 0, such as {example}.")
    return numbers


def _configs(options: Mapping[str, Any], trainers: list[str]) -> dict[str, dict[str, Any]]:
    """Settings by trainer, the file's and over them those given in words."""
    found: dict[str, dict[str, Any]] = {}
    if options["configs"]:
        try:
            found = settings_by_trainer(options["configs"].read_text(), trainers)
        except OSError as error:
            raise CommandError(f"--configs: {options['configs']} cannot be read: {error.strerror}.") from error
    for name, values in settings_by_trainer(options["config"], trainers).items():
        found[name] = {**found.get(name, {}), **values}
    return found


def _limits(options: Mapping[str, Any]) -> Limits:
    minutes, gib = options["minutes_each"], options["gib_each"]
    return Limits(None if minutes is None else 60 * minutes, None if gib is None else 1024 * gib)


def _check_outputs(options: Mapping[str, Any]) -> None:
    """Before hours of measuring rather than after them."""
    if options.get("plot"):
        plots.check(options["plot"])
    if options["json"] and not options["json"].resolve().parent.is_dir():
        raise CommandError(f"--json: {options['json'].parent} is not a folder.")


def _watch(stage: str) -> Progress:
    """A bar on standard error, where that is a terminal."""
    bar = tqdm(
        total=100, desc=stage, unit="%", leave=False, disable=None, bar_format="{desc} {bar} {n:.0f} % {postfix}"
    )

    def progress(share: float, message: str) -> None:
        bar.set_postfix_str(message, refresh=False)
        bar.update(100 * share - bar.n)
        if share >= 1:
            bar.close()

    return progress


BENCHMARKS = {
    "accuracy": Benchmark("How well trainers find what users took next.", _accuracy_arguments, _accuracy),
    "scale": Benchmark("How seconds and memory grow with synthetic events.", _scale_arguments, _scale),
    "cold": Benchmark("How well items that nobody has taken yet are found.", _cold_arguments, _cold),
}
