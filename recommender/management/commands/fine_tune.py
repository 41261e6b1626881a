"""manage.py fine_tune text: have an encoder learn from what shoppers take together, and encode everything with it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommender import tasks
from recommender.engine.errors import RecommenderError
from recommender.management.commands.encode import carry_out
from recommender.services.content import encoding, fine_tuning


class Command(BaseCommand):
    help = (
        "Have an encoder learn from what shoppers take together, and encode everything with it. Where nothing is "
        "gained among items that it did not learn from, it stays as it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("modality", choices=list(fine_tuning.TUNERS))
        parser.add_argument("--background", action="store_true", help="only ask for it; a worker does it")
        parser.add_argument("--undo", action="store_true", help="go back to the encoder as it was before")

    def handle(self, *args: Any, **options: Any) -> None:
        modality = options["modality"]
        try:
            if options["undo"]:
                encoding.undo_tuning(modality)
            tune = "" if options["undo"] else modality
            row = encoding.request(tune=tune, requested_by="manage.py fine_tune", reason=f"fine-tuning: {modality}")
        except RecommenderError as error:
            raise CommandError(str(error)) from error
        if options["background"]:
            woken = tasks.wake_encoding(row.pk)
            self.stdout.write(f"Encoding {row.pk} is queued.{'' if woken else ' The broker does not answer yet.'}")
            return
        carry_out(self, row)
        row.refresh_from_db()
        if gain := row.report.get("tuned"):
            kept = f"{gain['share']:.0%} of what it learned is kept" if gain["share"] else "it stays as it was"
            self.stdout.write(
                f"NDCG@10 {gain['before']:.4f} before, {gain['after']:.4f} after ({gain['held']:,} items that it did "
                f"not learn from, among {gain['candidates']:,}; {gain['pairs']:,} pairs learned): {kept}."
            )
