"""manage.py encode: make vectors of what items say, show and sound like, here and now.

manage.py fine_tune text: have an encoder learn from what shoppers take together first.
"""

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from recommender.engine.errors import Cancelled, RecommenderError
from recommender.models import Encoding
from recommender.services.content import content_state, encoding

SHOWN = 10  # refused items that are printed


class Command(BaseCommand):
    help = "Make vectors of what items say, show and sound like. Without options, of those that changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--everything", action="store_true", help="let encoders learn anew, and encode unchanged items again too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            row = encoding.request(options["everything"], requested_by="manage.py encode")
        except RecommenderError as error:
            raise CommandError(str(error)) from error
        carry_out(self, row)


def carry_out(command: BaseCommand, row: Encoding) -> None:
    """Encode in this process, with a progress bar; Ctrl-C ends it and keeps what was encoded. Raises CommandError."""
    before = signal.signal(signal.SIGINT, _cancel)
    form = "{desc}: {percentage:3.0f}% |{bar}| {postfix}"
    try:
        with tqdm(total=100, desc="Encoding", bar_format=form, disable=None) as bar:

            def told(now: Encoding) -> None:
                bar.set_postfix_str(f"{now.stage} {now.message}"[:60], refresh=False)
                bar.update(round(now.share_done * 100) - bar.n)

            ended = encoding.run(row.pk, told=told)
    finally:
        signal.signal(signal.SIGINT, before)
    if ended is None:
        raise CommandError(f"Encoding {row.pk} was taken by a worker; see its page in the admin.")
    for modality, count in ended.counts.items():
        told_of = ", ".join(f"{number:,} {name}" for name, number in count.items() if number or name == "encoded")
        command.stdout.write(f"{content_state.LABELS[modality]}: {told_of}.")
    for refused in ended.refused[:SHOWN]:
        command.stdout.write(f"  {refused['item']} ({refused['modality']}): {refused['error']}")
    if len(ended.refused) > SHOWN:
        command.stdout.write(f"  and {len(ended.refused) - SHOWN:,} more; the admin lists them.")
    if ended.status != Encoding.Status.SUCCEEDED:
        raise CommandError(f"Encoding {ended.pk}: {ended.get_status_display()}. {ended.error}".strip())
    if ended.error:
        command.stderr.write(ended.error)


def _cancel(*_: Any) -> None:
    raise Cancelled()
