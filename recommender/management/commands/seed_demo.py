"""manage.py seed_demo"""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from recommender.engine.errors import RecommenderError
from recommender.management.import_door import ProgressBar
from recommender.services import demo
from recommender.services.errors import SuperuserExists


class Command(BaseCommand):
    help = (
        "Fills an empty shop with Folio: books, prints and records made on this machine, and a year of simulated "
        "shoppers. Run it again to finish what was stopped; once all is there it changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--ends-at", type=moment, metavar="ISO", help="End of the simulated year (default: now).")
        parser.add_argument(
            "--demo-login",
            action="store_true",
            help=f"Also make the superuser {demo.STAFF} with the password {demo.PASSWORD}. Never on a public machine.",
        )
        parser.add_argument("--no-progress", action="store_true", help="Print no progress bar.")

    def handle(self, *args: Any, **options: Any) -> None:
        bar = ProgressBar(hidden=options["no_progress"])
        try:
            seeded = demo.seed(bar, ends_at=options["ends_at"])
        except RecommenderError as error:
            raise CommandError(str(error)) from error
        finally:
            bar.close()
        held = ", ".join(f"{count:,} {name}" for name, count in seeded.counts.items())
        self.stdout.write(f"Folio {'is ready' if seeded.made else 'was already there'}: {held}.")
        if options["demo_login"]:
            try:
                demo.create_staff_login()
            except SuperuserExists as error:
                self.stderr.write(str(error))


def moment(text: str) -> datetime:
    """An ISO 8601 moment; without a zone, in the site's own. Raises ValueError."""
    found = parse_datetime(text)
    if found is None:
        raise ValueError(text)
    return timezone.make_aware(found) if timezone.is_naive(found) else found
