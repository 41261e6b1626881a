"""manage.py alert: tell people now of what detectors found; --test sends a message that says nothing was found."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommender.services.screening import alerts


class Command(BaseCommand):
    help = "Send the alerts that are due, or a test message by each channel."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--test", action="store_true", help="send a test message, whatever there is to tell")

    def handle(self, *args: Any, **options: Any) -> None:
        channels = {one.channel: one.to for one in alerts.state()}
        if not channels:
            raise CommandError("No alerts are set up. Set ALERTS; see docs/guarding.md.")
        if options["test"]:
            sent = alerts.test()
        else:
            sent = {row.channel: row.error for row in alerts.send_due()}
            if not sent:
                self.stdout.write("Nothing is due.")
        for channel, error in sent.items():
            self.stdout.write(f"{channel} to {channels[channel]}: {error or 'sent'}")
        if any(sent.values()):
            raise CommandError("Not everything was sent.")
