"""manage.py import_items PATH [--map id=sku ...]"""

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from recommender.management.import_door import ImportCommand, add_map, pairs
from recommender.services.import_items import FIELDS, ItemOptions, import_items


class Command(ImportCommand):
    help = (
        "Imports a catalogue from a CSV, JSON lines (both also .gz) or Parquet file. Items that are there take the "
        "file's values, empty fields excepted; columns that are no field become attributes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_map(parser, FIELDS)
        parser.add_argument(
            "--keep-existing", action="store_true", help="Leave items that are in the catalogue as they are."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = ItemOptions(columns=pairs(options["map"], "--map"), keep_existing=options["keep_existing"])
        self.carry_out(partial(import_items, options["path"], chosen), options)
