"""What a job says of itself while it works (stage, share, heartbeat, memory) and how it hears of a cancellation."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.utils import timezone

from recommender.engine.errors import Cancelled
from recommender.models.jobs import Job
from recommender.services.memory import resident_bytes

log = logging.getLogger(__name__)

HEARTBEAT_S = 2.0  # seconds between heartbeats; also how soon a cancellation is heard
WRITE_EVERY_S = 0.5  # seconds between writes of the progress, which may be reported far more often
SAMPLE_S = 0.1  # seconds between looks at the memory in use


class RunMonitor:
    """Keeps a job's row alive. A thread writes the heartbeat, so that it goes on inside long library calls."""

    def __init__(self, run: Job, shares: Mapping[str, float], told: Callable[[], None] = lambda: None) -> None:
        """`shares` maps each stage, in order, to its usual part of the whole time; `told` hears of each write."""
        self.run = run
        self._shares = shares
        self._told = told
        self._started: dict[str, float] = {}
        self._written = 0.0
        self._peak_bytes = 0
        self._cancelled = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {run}", daemon=True)

    def __enter__(self) -> "RunMonitor":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and note its peak memory on the run. Raises Cancelled between stages."""
        self._peak_bytes = resident_bytes()
        started = time.perf_counter()
        self.run.stage = name
        self._write(0.0, "", force=True)
        yield
        self.run.stages.append(
            {
                "stage": name,
                "seconds": round(time.perf_counter() - started, 3),
                "peak_mb": round(max(self._peak_bytes, resident_bytes()) / 2**20),
            }
        )
        self._write(1.0, self.run.message, force=True)

    def progress(self, share: float, message: str) -> None:
        """Report the share (0 to 1) of the current stage that is done. Raises Cancelled."""
        if self._cancelled.is_set():
            raise Cancelled()
        self._write(share, message)

    def _write(self, share: float, message: str, force: bool = False) -> None:
        if self._cancelled.is_set():
            raise Cancelled()
        now = time.monotonic()
        if not force and now - self._written < WRITE_EVERY_S:
            return
        self._written = now
        names = list(self._shares)
        before = sum(self._shares[name] for name in names[: names.index(self.run.stage)])
        whole = sum(self._shares.values())
        self.run.share_done = min(1.0, (before + min(max(share, 0.0), 1.0) * self._shares[self.run.stage]) / whole)
        self.run.message = message[: Job.MAX_MESSAGE]
        self.run.heartbeat_at = timezone.now()
        self.save("stage", "share_done", "message", "heartbeat_at", "stages")
        self._told()

    def save(self, *fields: str) -> None:
        """Write fields of the run. Raises Cancelled when it is no longer this try's: ended, or given to another."""
        if not self._mine().update(**{name: getattr(self.run, name) for name in fields}):
            raise Cancelled()

    def _mine(self) -> QuerySet[Job]:
        return type(self.run)._default_manager.filter(pk=self.run.pk, status=Job.Status.RUNNING, tries=self.run.tries)

    def _beat(self) -> None:
        beaten = 0.0
        try:
            while not self._stop.wait(SAMPLE_S):
                self._peak_bytes = max(self._peak_bytes, resident_bytes())
                if time.monotonic() - beaten >= HEARTBEAT_S:
                    beaten = time.monotonic()
                    self._report()
        finally:
            connection.close()

    def _report(self) -> None:
        try:
            self._mine().update(heartbeat_at=timezone.now())
            if not self._mine().filter(cancel_requested=False).exists():
                self._cancelled.set()
        except DatabaseError as error:  # busy or restarting: the next beat tries again, on a new connection
            log.warning("The heartbeat of %s could not be written: %s", self.run, error)
            connection.close()
