"""manage.py import_vectors FILE --modality text: serve vectors that were made elsewhere."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from recommender import tasks
from recommender.engine.errors import RecommenderError
from recommender.models import ItemVector
from recommender.services.content import encoding, vector_files
from recommender.services.content.import_vectors import Imported, import_vectors, remove
from recommender.services.errors import EncodingActive

SHOWN = 20  # rejected rows that are printed


class Command(BaseCommand):
    help = f"Serve items' vectors that were made elsewhere: {vector_files.SUFFIXES}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="with a vector for each item id")
        parser.add_argument("--modality", choices=ItemVector.Modality.values, required=True, help="what they stand for")
        parser.add_argument("--name", help="what made them (default: the file's name)")
        parser.add_argument("--layer", default="", help="Keras: the Embedding layer, where there are several")
        parser.add_argument(
            "--vocabulary",
            type=Path,
            help="Keras: a file with the item id of each row, one a line (default: the numbers)",
        )
        parser.add_argument("--id-column", default="", help="Parquet: the column with the ids")
        parser.add_argument("--vector-column", default="", help="Parquet: the column with the vectors, as lists")
        parser.add_argument("--remove", action="store_true", help="take back what was imported")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["file"]) == options["remove"]:
            raise CommandError("Give a file, or --remove.")
        try:
            if options["remove"]:
                self.stdout.write(f"{remove(options['modality']):,} vectors taken back.")
            else:
                self.report(self.imported(options))
            self.encode()
        except RecommenderError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or options['file']} cannot be read: {error.strerror}.") from error

    def imported(self, options: dict[str, Any]) -> Imported:
        path: Path = options["file"]
        rows = vector_files.read(
            path,
            layer=options["layer"],
            vocabulary=options["vocabulary"],
            id_column=options["id_column"],
            vector_column=options["vector_column"],
        )
        name = options["name"] or "".join(c if c.isascii() and c.isalnum() else "-" for c in path.stem.lower()).strip(
            "-"
        )
        with tqdm(desc="Importing", unit=" rows", disable=None) as bar:
            return import_vectors(rows, options["modality"], name[:60], bar.update)

    def report(self, done: Imported) -> None:
        rejected = sum(done.reasons.values())
        self.stdout.write(f"{done.kept:,} vectors of {done.dimension} numbers kept, {rejected:,} rows rejected.")
        for row in done.rejected[:SHOWN]:
            self.stdout.write(f"  row {row.place} ({row.item_id!r}): {row.reason}")
        if rejected > SHOWN:
            self.stdout.write(
                "  " + "; ".join(f"{count:,} x {reason}" for reason, count in sorted(done.reasons.items()))
            )
        if done.replaced:
            self.stdout.write(f"They replace {done.replaced!r}.")
        if not done.kept:
            raise CommandError("Nothing was imported.")

    def encode(self) -> None:
        try:
            row = encoding.request(requested_by="manage.py import_vectors")
        except EncodingActive as error:
            self.stdout.write(f"{error} They serve after the next one: manage.py encode.")
            return
        woken = tasks.wake_encoding(row.pk)
        waits = "" if woken else " It waits until the broker answers."
        self.stdout.write(f"Encoding {row.pk} makes them serve.{waits}")
