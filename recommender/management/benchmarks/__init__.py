"""What `manage.py benchmark KIND` measures, one module per kind; and what several of them take and say."""

import os
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from tqdm import tqdm

from recommender.engine.trainers import TRAINERS, Progress
from recommender.management.data_arguments import settings_by_trainer
from recommender.services.benchmarking import plots
from recommender.services.benchmarking.processes import Limits

BENCHMARKS = {
    "accuracy": "recommender.management.benchmarks.accuracy.BENCHMARK",
    "anomaly": "recommender.management.benchmarks.anomaly.BENCHMARK",
    "cold": "recommender.management.benchmarks.cold.BENCHMARK",
    "damage": "recommender.management.benchmarks.damage.BENCHMARK",
    "encoders": "recommender.management.benchmarks.encoders.BENCHMARK",
    "intrusions": "recommender.management.benchmarks.intrusions.BENCHMARK",
    "retrieval": "recommender.management.benchmarks.retrieval.BENCHMARK",
    "scale": "recommender.management.benchmarks.scale.BENCHMARK",
    "screening": "recommender.management.benchmarks.screening.BENCHMARK",
    "search": "recommender.management.benchmarks.search.BENCHMARK",
    "sentiment": "recommender.management.benchmarks.sentiment.BENCHMARK",
    "shilling": "recommender.management.benchmarks.shilling.BENCHMARK",
}


@dataclass(frozen=True)
class Benchmark:
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Mapping[str, Any], OutputWrapper], None]


def shared_arguments(parser: ArgumentParser, usual: Sequence[str] = ("als",)) -> None:
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


def plot_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--plot", type=Path, help="also draw it: OUT.svg or OUT.png (needs matplotlib)")
    parser.add_argument(
        "--clock", choices=list(plots.CLOCKS), default="wall",
        help="the seconds that the plot shows: cpu where others compute too (default: wall)",
    )  # fmt: skip


def chosen_trainers(options: Mapping[str, Any], usual: Sequence[str] = ("als",)) -> list[str]:
    named = options["trainer"] or usual
    named = list(TRAINERS) if "all" in named else list(dict.fromkeys(named))
    kept = [name for name in named if name not in options["skip"]]
    if not kept:
        raise CommandError("--skip leaves no trainer to measure.")
    return kept


def numbers(option: str, text: str, example: str) -> list[int]:
    """Distinct whole numbers above 0, rising."""
    try:
        numbers = sorted({int(number) for number in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise CommandError(f"{option} takes whole numbers above 0, such as {example}.")
    return numbers


def chosen_configs(options: Mapping[str, Any], trainers: list[str]) -> dict[str, dict[str, Any]]:
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


def chosen_limits(options: Mapping[str, Any]) -> Limits:
    minutes, gib = options["minutes_each"], options["gib_each"]
    return Limits(None if minutes is None else 60 * minutes, None if gib is None else 1024 * gib)


def check_outputs(options: Mapping[str, Any]) -> None:
    """Before hours of measuring rather than after them."""
    if options.get("plot"):
        plots.check(options["plot"])
    if options["json"] and not options["json"].resolve().parent.is_dir():
        raise CommandError(f"--json: {options['json'].parent} is not a folder.")


def watch(stage: str) -> Progress:
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
