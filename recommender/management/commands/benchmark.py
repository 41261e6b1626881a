"""manage.py benchmark KIND: measure, on real data or by size. See management/benchmarks/, one module per kind."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommender.engine.errors import RecommenderError
from recommender.engine.loading import load
from recommender.management.benchmarks import BENCHMARKS


class Command(BaseCommand):
    help = "Measure what the engine does, on real data (RECSITE_DATA names the folder with the data sets) or by size."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="benchmark", required=True)
        for name in BENCHMARKS:
            benchmark = load(BENCHMARKS, name)
            benchmark.add_arguments(kinds.add_parser(name, help=benchmark.help, description=benchmark.help))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            load(BENCHMARKS, options["benchmark"]).run(options, self.stdout)
        except RecommenderError as error:
            raise CommandError(str(error)) from error
