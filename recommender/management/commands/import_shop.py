"""manage.py import_shop online-retail PATH"""

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from recommender.management.import_door import ImportCommand
from recommender.services.import_shop import SHOPS, import_shop


class Command(ImportCommand):
    help = (
        "Imports a real shop's invoices: items, visitors, orders and purchases. PATH is the file or its folder: "
        "transactions.parquet, or UCI's Online Retail.xlsx or .csv. Items that are there stay as staff left them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("shop", choices=sorted(SHOPS))
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.carry_out(partial(import_shop, options["shop"], options["path"]), options)
