"""How a fit runs, what it says meanwhile, and how it hears that it should stop."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recommender.engine.data.interactions import Interactions

Progress = Callable[[float, str], None]  # share done (0 to 1) and a word about it; may raise Cancelled
Report = Callable[[int, float], None]  # a step (epoch) and its value on the events held out; may raise Cancelled


def no_progress(share: float, message: str) -> None:
    pass


def no_report(step: int, value: float) -> None:
    pass


@dataclass(frozen=True)
class Options:
    """How a fit runs: what shapes its result is in the config, but for the seed and the events held out."""

    seed: int = 42
    threads: int = 1
    device: str = "auto"
    """Where torch works: "cpu", "cuda", or "auto" for a GPU where there is one."""
    held: Interactions | None = None
    """Events kept out of `data`, to stop early and choose by. Where None, a trainer that needs some cuts its own."""
    checkpoints: Path | None = None
    """A folder of this fit's own, where a long fit keeps what it needs to go on after a crash."""
    progress: Progress = no_progress
    report: Report = no_report
