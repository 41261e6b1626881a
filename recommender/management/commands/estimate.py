"""manage.py estimate: what a run would have brought, told by what chance showed, before it goes live."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommender.engine.errors import RecommenderError
from recommender.engine.evaluation.off_policy import Estimate
from recommender.services.experiments import off_policy


class Command(BaseCommand):
    help = "Estimate the click rate that a run would have had, from the places of lists that chance filled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="number of a run that has a model")
        parser.add_argument("--answers", type=int, default=20_000, help="the latest to look at (default: 20000)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = off_policy.estimate(options["run"], max(options["answers"], 1))
        except RecommenderError as error:
            raise CommandError(error.message) from error
        self.stdout.write(
            f"{found.answers:,} places drawn by chance; run {found.run_id} would have put the same there in "
            f"{found.matched:,}. {found.left_out:,} more had nothing that it knows."
        )
        if not found.enough:
            self.stdout.write("Too little for an estimate: let chance fill more places, and wait.")
            return
        for name, one in (("shown by chance", found.shown), ("run, IPS", found.ips), ("run, SNIPS", found.snips)):
            self.stdout.write(f"{name:>16}  {_said(one)}")
        self.stdout.write(
            f"Effective sample size {found.snips.effective:,.0f}; weights above {found.clip:g} are cut "
            f"({found.snips.clipped:.1%} of those that count). The run is {found.verdict} than chance."
            if found.verdict in ("better", "worse")
            else f"Effective sample size {found.snips.effective:,.0f}. Chance may explain the difference."
        )


def _said(one: Estimate) -> str:
    return f"{one.value:.2%}  ({max(one.low, 0):.2%} to {min(one.high, 1):.2%})"
