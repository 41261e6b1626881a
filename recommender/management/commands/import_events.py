"""manage.py import_events PATH [--map user=customer_no ...]"""

from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from recommender.management.import_door import ImportCommand, add_map, pairs
from recommender.models import Event
from recommender.services.import_events import FIELDS, TIME_UNITS, EventOptions, import_events


class Command(ImportCommand):
    help = "Imports events from a CSV, JSON lines (both also .gz) or Parquet file."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_map(parser, FIELDS)
        parser.add_argument("--kind", default="", help=f"Kind of rows that name none: {', '.join(Event.Kind.values)}.")
        parser.add_argument(
            "--map-kind",
            action="append",
            default=[],
            metavar="THEIRS=OURS",
            help="The file's word for a kind, as buy=purchase.",
        )
        parser.add_argument("--create-items", action="store_true", help="Make items that are not in the catalogue.")
        parser.add_argument("--time-unit", choices=list(TIME_UNITS), default="iso", help="ISO 8601, or Unix s or ms.")
        parser.add_argument(
            "--timezone", default=settings.TIME_ZONE, help="Zone of times that name none (default: %(default)s)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = EventOptions(
            columns=pairs(options["map"], "--map"),
            kind=options["kind"].lower(),
            kinds={theirs.lower(): ours.lower() for theirs, ours in pairs(options["map_kind"], "--map-kind").items()},
            create_items=options["create_items"],
            time_unit=options["time_unit"],
            timezone=options["timezone"],
        )
        self.carry_out(partial(import_events, options["path"], chosen), options)
