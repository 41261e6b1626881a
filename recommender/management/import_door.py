"""What the three import commands share: options, the progress bar, Ctrl-C, and how a result is told."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from tqdm import tqdm

from recommender.engine.errors import RecommenderError
from recommender.services.importing import ImportResult

EXIT_INTERRUPTED = 130  # as a shell gives for Ctrl-C


class ImportCommand(BaseCommand):
    """A command that imports: it says what it kept and dropped, and Ctrl-C ends it after the chunk that it is in."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="The file.")
        parser.add_argument(
            "--rejected",
            type=Path,
            metavar="FILE",
            help="CSV for the rejected rows and their reasons (default: var/imports/<name>-rejected.csv).",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Check and report only; the database stays as it is."
        )
        parser.add_argument("--no-progress", action="store_true", help="Print no progress bar.")

    def carry_out(self, run: Callable[..., ImportResult], options: dict[str, Any]) -> None:
        """Call `run` with what every import takes, and tell the result. Raises CommandError, or exits with 130."""
        bar = ProgressBar(hidden=options["no_progress"])
        with stop_on_interrupt() as stop:
            try:
                result = run(rejected=options["rejected"], dry_run=options["dry_run"], progress=bar, stop=stop.is_set)
            except RecommenderError as error:
                raise CommandError(str(error)) from error
            except DatabaseError as error:
                raise CommandError(
                    f"The database refused: {error}. Is it migrated (manage.py migrate)? "
                    "What was committed stays; run the same command again to go on."
                ) from error
            except KeyboardInterrupt:
                bar.close()
                self.stderr.write("Stopped at once; the chunk that was being written was taken back.")
                self.stderr.write("Run the same command again to go on.")
                sys.exit(EXIT_INTERRUPTED)
            finally:
                bar.close()
        self._tell(result, dry_run=options["dry_run"])

    def _tell(self, result: ImportResult, dry_run: bool) -> None:
        if result.resumed_after:
            self.stdout.write(f"Went on after the {result.resumed_after:,} rows of an earlier, stopped import.")
        if result.report.read:
            self.stdout.write(result.table())
        if result.rejected:
            self.stdout.write(f"\nRejected rows and their reasons: {result.rejected}")
        if dry_run:
            self.stdout.write("Dry run: nothing was written to the database.")
        if not result.complete:
            self.stderr.write(f"Stopped after {result.rows_done:,} rows. Run the same command again to go on.")
            sys.exit(EXIT_INTERRUPTED)


class ProgressBar:
    """One tqdm bar on standard error for each stage."""

    def __init__(self, hidden: bool) -> None:
        self._hidden, self._stage = hidden, ""
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int, unit: str) -> None:
        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(
                total=total,
                desc=stage,
                unit=f" {unit}" if unit != "B" else unit,
                unit_scale=True,
                file=sys.stderr,
                disable=self._hidden,
            )
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, for the work to end at its next safe point; a second Ctrl-C ends it at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals reach the main thread only
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def add_map(parser: CommandParser, fields: Sequence[str]) -> None:
    """The option that names the file's columns; `pairs` reads it."""
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help=f"The file's column for a field: {', '.join(fields)}. Columns that bear a field's name need none.",
    )


def pairs(values: list[str], option: str) -> dict[str, str]:
    """["user=customer_no"] as {"user": "customer_no"}. Raises CommandError."""
    found: dict[str, str] = {}
    for value in values:
        name, sign, target = value.partition("=")
        if not (name and sign and target):
            raise CommandError(f"{option} {value}: write it as NAME=VALUE.")
        found[name.strip()] = target.strip()
    return found
