"""manage.py benchmark accuracy ml-1m --trainer als --tune: measure on real data, with intervals."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from tqdm import tqdm

from recommender.engine.data.datasets import DATASETS, LAYOUTS, Dataset, from_npz, from_sequences, load_dataset
from recommender.engine.errors import RecommenderError
from recommender.engine.metrics import PER_USER
from recommender.engine.trainers import TRAINERS, Progress
from recommender.services import benchmarking

TRIALS = 20


@dataclass(frozen=True)
class Benchmark:
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Mapping[str, Any], OutputWrapper], None]


class Command(BaseCommand):
    help = "Measure on real data. RECSITE_DATA names the folder with the data sets."
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
    parser.add_argument("dataset", nargs="?", help=f"{', '.join(DATASETS)}; or pass files of your own")
    parser.add_argument("--train", type=Path, help="users x items, as scipy.sparse.save_npz writes it")
    parser.add_argument("--test", type=Path, help="the same shape; what to find")
    parser.add_argument("--validation", type=Path, help="the same shape; what to choose settings by")
    parser.add_argument("--sequences", type=Path, help="whole numbers in time order; the last of each user is the test")
    parser.add_argument("--layout", choices=LAYOUTS, default="auto", help="of the sequences' lines")
    parser.add_argument("--trainer", action="append", choices=[*TRAINERS, "all"], help="may be repeated (default: als)")
    parser.add_argument("--k", default="10,20", help="lengths of the lists looked at (default: 10,20)")
    parser.add_argument("--metrics", default="recall,ndcg", help=f"of {', '.join(PER_USER)} (default: recall,ndcg)")
    parser.add_argument("--config", default="{}", help='JSON: settings, or {"als": settings, ...} for several trainers')
    parser.add_argument(
        "--tune", nargs="?", type=int, const=TRIALS, default=0, metavar="TRIALS",
        help=f"choose settings on the validation part by random search (default: {TRIALS} trials)",
    )  # fmt: skip
    parser.add_argument("--refit", action="store_true", help="learn from the set's own validation part too, at the end")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def _accuracy(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = options["trainer"] or ["als"]
    trainers = list(TRAINERS) if "all" in trainers else trainers
    metrics = options["metrics"].split(",")
    if strange := set(metrics) - set(PER_USER):
        raise CommandError(f"--metrics: {', '.join(sorted(strange))} is none of {', '.join(PER_USER)}.")
    try:
        ks = sorted({int(k) for k in options["k"].split(",")})
    except ValueError:
        ks = []
    if not ks or ks[0] < 1:
        raise CommandError("--k takes whole numbers above 0, such as 10,20.")
    dataset = _dataset(options)
    results = benchmarking.measure_accuracy(
        dataset,
        trainers,
        ks=ks,
        configs=_configs(options["config"], trainers),
        tune_trials=options["tune"],
        refit=options["refit"],
        seed=options["seed"],
        threads=options["threads"],
        watch=_watch,
    )
    out.write("\n".join(benchmarking.accuracy_table(results, metrics)))
    out.write("\n" + "\n".join(benchmarking.accuracy_notes(dataset, results)))
    if options["json"]:
        options["json"].write_text(json.dumps(benchmarking.accuracy_json(dataset, results), indent=1, allow_nan=False))


def _dataset(options: Mapping[str, Any]) -> Dataset:
    files = bool(options["train"] or options["test"])
    if sum([bool(options["dataset"]), files, bool(options["sequences"])]) != 1:
        raise CommandError("Name a data set, or pass --train and --test, or pass --sequences.")
    if options["sequences"]:
        return from_sequences(options["sequences"], options["layout"])
    if files:
        if not (options["train"] and options["test"]):
            raise CommandError("--train and --test go together.")
        return from_npz(options["train"], options["test"], options["validation"])
    return load_dataset(options["dataset"])


def _configs(text: str, trainers: list[str]) -> dict[str, dict[str, Any]]:
    """Settings by trainer; settings without a trainer's name are for the one trainer asked for."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--config is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise CommandError("--config takes a JSON object.")
    if set(given) <= set(TRAINERS) and all(isinstance(values, dict) for values in given.values()):
        return given
    if len(trainers) != 1:
        raise CommandError('--config with several trainers takes {"trainer": {settings}, ...}.')
    return {trainers[0]: given}


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
}
