"""One process for each thing measured, so that its peak memory is its own and that nothing it leaves slows the next."""

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from resource import getpagesize
from typing import Any, TypeVar

from recommender.engine.errors import RecommenderError
from recommender.engine.options import Progress

T = TypeVar("T")
Watch = Callable[[str], Progress]  # from a stage's name to what is told about its progress

TOLD_EVERY_S = 0.1  # of progress
LOOKED_AT_EVERY_S = 0.5  # memory and time
MIB = 2**20
PRELOADED = ["recommender.services.benchmarking.accuracy", "scipy.sparse"]  # imported once, for all processes to come


@dataclass(frozen=True)
class Refusal:
    """Why there is nothing to show."""

    reason: str


@dataclass(frozen=True)
class Limits:
    seconds: float | None = None
    mib: float | None = None
    """Of resident memory, where the system tells another process's."""


NO_LIMITS = Limits()


class Clock:
    """Seconds since it was made, by the wall and of this process's cores."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def refusing(work: Callable[..., T], *args: Any) -> T | Refusal:
    """What `work` returns, or the reason why it would not."""
    try:
        return work(*args)
    except RecommenderError as error:
        return Refusal(error.message)
    except MemoryError as error:
        return Refusal(f"Out of memory. {error}".strip())


def here(work: Callable[..., T], *args: Any, watch: Watch, limits: Limits = NO_LIMITS) -> T | Refusal:
    """What `apart` does, in this process: quick to start; peaks mix, and nothing stops it."""
    return refusing(work, watch, *args)


def apart(
    work: Callable[..., T], *args: Any, watch: Watch, limits: Limits = NO_LIMITS, preload: Sequence[str] = ()
) -> T | Refusal:
    """`work(watch, *args)` in a process of its own: its value, or why there is none. `work` is a module's function.

    The process is forked from a server that has imported NumPy and SciPy, and whatever else it needs is its own;
    `preload` are more modules for the server to import, where many short works need them: the first call says which.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, *preload])
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, work, args), daemon=True)
    process.start()
    theirs.close()
    try:
        found = _followed(ours, process.pid or 0, watch, limits)
    finally:
        if process.is_alive():
            process.join(1.0)
        if process.is_alive():
            process.kill()
        process.join()
        ours.close()
    if found is None:
        return Refusal(_ending(process.exitcode or 0))
    return found


@dataclass(frozen=True)
class _Told:
    stage: str
    share: float
    message: str


def _child(connection: Connection, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch(stage: str) -> Progress:
        last = -TOLD_EVERY_S

        def progress(share: float, message: str) -> None:
            nonlocal last
            if share >= 1 or time.monotonic() - last > TOLD_EVERY_S:
                last = time.monotonic()
                connection.send(_Told(stage, share, message))

        return progress

    try:
        found: Any = refusing(work, watch, *args)
    except Exception as error:  # a fault of one trainer costs its own row, not hours of others
        traceback.print_exc()
        found = Refusal(f"Failed: {type(error).__name__}: {error}")
    connection.send(found)


def _followed(connection: Connection, pid: int, watch: Watch, limits: Limits) -> Any:
    """What the process sent last; None where it ended without a word."""
    stages: dict[str, Progress] = {}
    started = time.monotonic()
    while True:
        try:
            if connection.poll(LOOKED_AT_EVERY_S):
                found = connection.recv()
                if not isinstance(found, _Told):
                    return found
                if found.stage not in stages:
                    stages[found.stage] = watch(found.stage)
                stages[found.stage](found.share, found.message)
        except (EOFError, ConnectionResetError):
            return None
        if limits.seconds is not None and time.monotonic() - started > limits.seconds:
            return Refusal(f"Over the limit of {limits.seconds:g} s.")
        if limits.mib is not None and _resident_mib(pid) > limits.mib:
            return Refusal(f"Memory: over the limit of {limits.mib:g} MiB.")


def _resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize() / MIB
    except (OSError, IndexError):
        return 0.0


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return "Killed, as the system does when memory runs out."
    if code < 0:
        return f"Ended by {signal.Signals(-code).name}."
    return f"Ended with exit code {code} and without a result."
