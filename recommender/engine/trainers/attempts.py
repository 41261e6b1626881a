"""Attempts: candidates of `auto`, fitted one after another within a time, judged, and kept while they lead.

Where there are several cuts to judge on, all begin with the latest; only who comes near the best is judged on the
others. What an entry is known of is therefore always a prefix of the same list of users, and entries are compared on
what both were asked: a figure is the reference's mean and the mean difference from it.
"""

import json
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import Cancelled, RecommenderError
from recommender.engine.trainers import Arrays, Options, trainer
from recommender.engine.trainers.parts import FEW_USERS, Cut, within
from recommender.engine.trainers.presets import PRESETS

FITTING = 0.8  # of an attempt, usually; judging is the rest
HOPELESS = 3.0  # times too long, by what its own progress says, at which a fit is given up before its time is over
HOPELESS_AFTER_S = 5.0  # before that, progress says little
FEWEST_EPOCHS = 5  # that are worth beginning for
IN_TIME = 0.8  # of the epochs that would just fit are begun
KEPT = 4  # families whose best keeps its arrays
NEAR = 0.93  # of the best figure is worth a second look, on earlier cuts
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
    """(V,): NDCG@10 of each user asked, cut by cut."""
    seconds: float
    """Of fitting and judging."""
    tuned: bool = False
    cuts: int = 1
    """How many it was judged on."""
    arrays: tuple[Arrays, ...] = ()
    """What it learned for each cut; empty where it is not among the best."""

    @property
    def kin(self) -> str:
        return PRESETS[self.name].kin if self.name in PRESETS else self.trainer

    def as_json(self, figure: float) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainer": self.trainer,
            "config": asdict(self.config),
            "tuned": self.tuned,
            "ndcg@10": round(figure, 6),
            "cuts": self.cuts,
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

    cuts: Sequence[Cut]
    """The latest first."""
    options: Options
    seconds: float
    started: float = field(default_factory=lambda: time.monotonic())
    entries: list[Entry] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Why, by name: presets that have no figure."""
    failed: RecommenderError | None = None

    @property
    def best(self) -> Entry | None:
        return max(self.entries, key=self.figure, default=None)

    def figure(self, entry: Entry) -> float:
        """NDCG@10 over all users that the reference, the best of those judged most, was asked about."""
        known = [*self.entries, entry]
        most = max(one.cuts for one in known)
        reference = max((one.values for one in known if one.cuts == most), key=lambda values: float(values.mean()))
        return float(reference.mean() + (entry.values - reference[: len(entry.values)]).mean())

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
        begun = time.monotonic()
        if allowed_s <= 0:
            self._leave_out(name, tuned, span[0], "no time for it")
            return
        try:
            arrays, values = self._judged(self.cuts[0], name, trainer_name, config, span, allowed_s)
        except Cancelled:
            raise
        except OutOfTime as over:
            epochs = int(over.part_in_time * IN_TIME * config.epochs) if _epochs(config) else 0
            took = time.monotonic() - begun
            if epochs >= FEWEST_EPOCHS:
                self.options.progress(span[0], f"{name}: time for {epochs} epochs")
                self.attempt(name, trainer_name, replace(config, epochs=epochs), span, allowed_s - took, tuned)
                return
            self._leave_out(name, tuned, span[1], f"given up after {took:.0f} s")
        except RecommenderError as error:
            self.failed = error
            self._leave_out(name, tuned, span[1], f"is out: {error.message}")
        else:
            cost = list(PRESETS).index(name) if name in PRESETS else len(PRESETS)
            took = time.monotonic() - begun
            entry = Entry(name, trainer_name, config, cost, values, took, tuned, arrays=(arrays,))
            self.entries.append(entry)
            best = self.best
            if best is None or self.figure(entry) >= NEAR * self.figure(best):
                entry = self.look_again(entry, span, allowed_s - took)
            self._forget()
            self.options.progress(span[1], f"{name}: NDCG@10 {self.figure(entry):.4f}")

    def look_again(self, entry: Entry, span: tuple[float, float], allowed_s: float) -> Entry:
        """The entry, judged on the earlier cuts too where that can be done in time."""
        begun, before = time.monotonic(), entry
        if not entry.arrays:
            return entry
        for cut in self.cuts[entry.cuts :]:
            left = allowed_s - (time.monotonic() - begun)
            if left < before.seconds:
                break
            try:
                found = self._judged(cut, entry.name, entry.trainer, entry.config, (span[1], span[1]), left)
            except Cancelled:
                raise
            except (OutOfTime, RecommenderError):
                break
            arrays, values = (*entry.arrays, found[0]), np.concatenate((entry.values, found[1]))
            took = before.seconds + time.monotonic() - begun
            entry = replace(entry, arrays=arrays, values=values, cuts=entry.cuts + 1, seconds=took)
        self.entries[[one is before for one in self.entries].index(True)] = entry
        return entry

    def _judged(
        self, cut: Cut, name: str, trainer_name: str, config: Any, span: tuple[float, float], allowed_s: float
    ) -> tuple[Arrays, NDArray[np.float64]]:
        """What one cut teaches, and how each of its users is served by that. Raises OutOfTime and what fitting does."""
        begun = time.monotonic()
        unlike = f"{key_of(trainer_name, config)} {len(cut.data)}"
        told = within(self.options, *span, self._leader(name), f"judged/{name}-{zlib.crc32(unlike.encode()):08x}")
        patience = 1 if _epochs(config) else HOPELESS

        def progress(share: float, message: str) -> None:
            told.progress(share, message)
            took = time.monotonic() - begun
            if took > allowed_s:
                raise OutOfTime()
            if took > HOPELESS_AFTER_S and share > 0 and took / share > allowed_s * patience:
                raise OutOfTime(share * (allowed_s - took) / took)

        def fitting(share: float, message: str) -> None:
            progress(FITTING * share, message)

        def judging(share: float, message: str) -> None:
            progress(FITTING + (1 - FITTING) * share, message)

        kind = trainer(trainer_name)
        arrays = kind.fit(cut.data, config, replace(told, progress=fitting))
        return arrays, cut.judge.ndcg(kind.query(arrays, config), judging)

    def _leave_out(self, name: str, tuned: bool, share: float, why: str) -> None:
        if not tuned:
            self.left_out[name] = why
        self.options.progress(share, f"{name} {why}" if why.startswith("is") else f"{name}: {why}")

    def families(self) -> list[Entry]:
        """The best of each family, best first."""
        best: dict[str, Entry] = {}
        for entry in sorted(self.entries, key=self.figure, reverse=True):
            best.setdefault(entry.kin, entry)
        return list(best.values())

    def chosen(self, extra: Entry | None = None) -> list[Entry]:
        """All, in the order in which to take them: the cheapest of those as good as the best, then by figure.

        Where few were asked, the best: their answers leave too much alike, and popularity is the cheapest of all.
        """
        known = [*self.entries, *([extra] if extra else [])]
        entries = sorted(known, key=lambda entry: (-self.figure(entry), entry.trainer == "popularity"))
        best, seed, few = entries[0], self.options.seed, len(self.cuts[0].judge) < FEW_USERS
        alike = [entry for entry in entries if entry is best or (not few and as_good(entry.values, best.values, seed))]
        first = min(alike, key=lambda entry: entry.cost)  # of equal costs, the better, which stands before
        return [first, *(entry for entry in entries if entry is not first)]

    def _leader(self, name: str) -> str:
        best = self.best
        return f"{name} (so far {best.name} {self.figure(best):.4f})" if best else name

    def _forget(self) -> None:
        """Arrays of what can be no part of a blend, nor the best."""
        kept = {id(entry) for entry in self.families()[:KEPT]}
        self.entries = [entry if id(entry) in kept else replace(entry, arrays=()) for entry in self.entries]


def _epochs(config: Any) -> bool:
    """Whether it could learn for less long and still be of use."""
    return bool(getattr(config, "epochs", 0) > FEWEST_EPOCHS)


def key_of(trainer_name: str, config: Any) -> str:
    return trainer_name + json.dumps(asdict(config), sort_keys=True)


def as_good(a: NDArray[np.float64], best: NDArray[np.float64], seed: int) -> bool:
    """Whether `a` (V,) is within GIVEN_AWAY of `best` (V,) and the paired difference's 95 % interval holds 0; by the
    users that both were asked about, where one was asked about fewer."""
    a, best = a[: len(best)], best[: len(a)]
    if a.mean() < (1 - GIVEN_AWAY) * best.mean():
        return False
    random = np.random.default_rng(seed)
    difference = best - a
    means = np.array([difference[random.integers(0, len(a), len(a))].mean() for _ in range(SAMPLES)])
    return bool(np.quantile(means, 0.025) <= 0)
