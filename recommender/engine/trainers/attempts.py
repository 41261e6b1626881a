"""Attempts: candidates of `auto`, fitted one after another within a time, judged, and kept while they lead."""

import json
import time
import zlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import Cancelled, RecommenderError
from recommender.engine.trainers import Arrays, Options, trainer
from recommender.engine.trainers.parts import FEW_USERS, Judge, within
from recommender.engine.trainers.presets import PRESETS

FITTING = 0.8  # of an attempt, usually; judging is the rest
HOPELESS = 3.0  # times too long, by what its own progress says, at which a fit is given up before its time is over
HOPELESS_AFTER_S = 5.0  # before that, progress says little
FEWEST_EPOCHS = 5  # that are worth beginning for
IN_TIME = 0.8  # of the epochs that would just fit are begun
KEPT = 4  # families whose best keeps its arrays
GIVEN_AWAY = 0.0025  # of NDCG, at most, for being cheaper
SAMPLES = 500  # of the bootstrap


@dataclass(frozen=True)
class Entry:
    """What was tried."""

    name: str
    """The preset's."""
    trainer: str
    config: Any
    cost: int
    """Its place in the order of costs."""
    values: NDArray[np.float64]
    """(V,): NDCG@10 of each user asked."""
    seconds: float
    """Of fitting and judging."""
    tuned: bool = False
    arrays: Arrays | None = None
    """None where it is not among the best."""

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def kin(self) -> str:
        return PRESETS[self.name].kin if self.name in PRESETS else self.trainer

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainer": self.trainer,
            "config": asdict(self.config),
            "tuned": self.tuned,
            "ndcg@10": round(self.mean, 6),
            "seconds": round(self.seconds, 2),
        }


class OutOfTime(Exception):
    """A fit's time is over, or will be before it ends. Not an error: its candidate is out, or learns for less long."""

    def __init__(self, part_in_time: float = 0.0) -> None:
        self.part_in_time = part_in_time
        """What share of the fit, begun anew, would end in time."""


@dataclass
class Search:
    """A choice under way: all that was tried, with the arrays of the best of each family."""

    data: Interactions
    judge: Judge
    options: Options
    seconds: float
    started: float = field(default_factory=lambda: time.monotonic())
    entries: list[Entry] = field(default_factory=list)
    failed: RecommenderError | None = None

    @property
    def best(self) -> Entry | None:
        return max(self.entries, key=lambda entry: entry.mean, default=None)

    def left(self, until: float) -> float:
        """Seconds until this share of the time is over."""
        return self.started + until * self.seconds - time.monotonic()

    def attempt(
        self,
        name: str,
        trainer_name: str,
        config: Any,
        span: tuple[float, float],
        allowed_s: float,
        tuned: bool = False,
    ) -> None:
        """Fit and judge one candidate, or find that it cannot be, or not in time.

        Where its own progress says that it will not end in time, one that learns in epochs begins anew with as many as
        will; any other is given up once it would take much longer, for progress need not be even.
        """
        begun, low = time.monotonic(), span[0]
        shorter = getattr(config, "epochs", 0) > FEWEST_EPOCHS
        folder = f"judged/{name}-{zlib.crc32(key_of(trainer_name, config).encode()):08x}"
        told = within(self.options, *span, self._leader(name), folder)

        def progress(share: float, message: str) -> None:
            told.progress(share, message)
            took = time.monotonic() - begun
            if took > allowed_s:
                raise OutOfTime()
            if took > HOPELESS_AFTER_S and share > 0 and took / share > allowed_s * (1 if shorter else HOPELESS):
                raise OutOfTime(share * (allowed_s - took) / took)

        def fitting(share: float, message: str) -> None:
            progress(FITTING * share, message)

        def judging(share: float, message: str) -> None:
            progress(FITTING + (1 - FITTING) * share, message)

        if allowed_s <= 0:
            self.options.progress(low, f"{name}: no time for it")
            return
        kind = trainer(trainer_name)
        try:
            arrays = kind.fit(self.data, config, replace(told, progress=fitting))
            values = self.judge.ndcg(kind.query(arrays, config), judging)
        except Cancelled:
            raise
        except OutOfTime as over:
            epochs = int(over.part_in_time * IN_TIME * config.epochs) if shorter else 0
            if epochs >= FEWEST_EPOCHS:
                left = allowed_s - (time.monotonic() - begun)
                self.options.progress(low, f"{name}: time for {epochs} epochs")
                self.attempt(name, trainer_name, replace(config, epochs=epochs), span, left, tuned)
                return
            self.options.progress(span[1], f"{name}: given up after {time.monotonic() - begun:.0f} s")
        except RecommenderError as error:
            self.failed = error
            self.options.progress(span[1], f"{name} is out: {error.message}")
        else:
            cost = list(PRESETS).index(name) if name in PRESETS else len(PRESETS)
            took = time.monotonic() - begun
            self.entries.append(Entry(name, trainer_name, config, cost, values, took, tuned, arrays))
            self._forget()
            self.options.progress(span[1], f"{name}: NDCG@10 {values.mean():.4f}")

    def families(self) -> list[Entry]:
        """The best of each family, best first."""
        best: dict[str, Entry] = {}
        for entry in sorted(self.entries, key=lambda entry: -entry.mean):
            best.setdefault(entry.kin, entry)
        return list(best.values())

    def chosen(self, extra: Entry | None = None) -> list[Entry]:
        """All, in the order in which to take them: the cheapest of those as good as the best, then by figure.

        Where few were asked, the best: their answers leave too much alike, and popularity is the cheapest of all.
        """
        known = [*self.entries, *([extra] if extra else [])]
        entries = sorted(known, key=lambda entry: (-entry.mean, entry.trainer == "popularity"))
        best, seed, few = entries[0], self.options.seed, len(self.judge) < FEW_USERS
        alike = [entry for entry in entries if entry is best or (not few and as_good(entry.values, best.values, seed))]
        first = min(alike, key=lambda entry: entry.cost)  # of equal costs, the better, which stands before
        return [first, *(entry for entry in entries if entry is not first)]

    def _leader(self, name: str) -> str:
        best = self.best
        return f"{name} (so far {best.name} {best.mean:.4f})" if best else name

    def _forget(self) -> None:
        """Arrays of what can be no part of a blend, nor the best."""
        kept = {id(entry) for entry in self.families()[:KEPT]}
        self.entries = [entry if id(entry) in kept else replace(entry, arrays=None) for entry in self.entries]


def key_of(trainer_name: str, config: Any) -> str:
    return trainer_name + json.dumps(asdict(config), sort_keys=True)


def as_good(a: NDArray[np.float64], best: NDArray[np.float64], seed: int) -> bool:
    """Whether `a` (V,) is within GIVEN_AWAY of `best` (V,) and the paired difference's 95 % interval holds 0."""
    if a.mean() < (1 - GIVEN_AWAY) * best.mean():
        return False
    random = np.random.default_rng(seed)
    difference = best - a
    means = np.array([difference[random.integers(0, len(a), len(a))].mean() for _ in range(SAMPLES)])
    return bool(np.quantile(means, 0.025) <= 0)
