"""Searching for settings that suit the data, in studies that can be gone on with and whose leaderboards stay.

tuning/NAME/plan.json          what is searched: data, metric, seed, trainers
tuning/NAME/study.journal      every trial (engine/evaluation/studies.py)
tuning/NAME/leaderboard.json   what was found (services/leaderboards.py)
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.artifact import versions
from recommender.engine.data.datasets import VALIDATION_SHARE, Dataset
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import share_split
from recommender.engine.errors import NoData, StudyDamaged
from recommender.engine.evaluation import studies
from recommender.engine.evaluation.panel import Panel, difference
from recommender.engine.evaluation.racing import race
from recommender.engine.evaluation.trials import State, Trial, best_first, rank
from recommender.engine.evaluation.tuning import Search
from recommender.engine.trainers import TRAINERS, Options
from recommender.services import event_log, leaderboards
from recommender.services.errors import InvalidInput, UnknownStudy
from recommender.services.leaderboards import SITE, Board, Entry

PLAN = "plan.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # of a study, which is a folder's name too
WRITE_EVERY_S = 10.0  # between leaderboards while trials come in; the intervals of each take a moment


@dataclass(frozen=True)
class Source:
    """What is learned from and what settings are chosen by; of the test nothing is here."""

    name: str
    protocol: str
    train: Interactions
    validation: Interactions
    until: int | None = None
    """Unix seconds: the site's events after it are not looked at. None for data sets."""


@dataclass(frozen=True)
class Plan:
    """What a study searches. It stays as it is while the study is gone on with, but for the trainers, which add up."""

    source: str
    metric: str
    k: int
    seed: int
    fingerprint: str
    """Of the events, their split and the seed."""
    until: int | None = None
    trainers: tuple[str, ...] = ()
    fixed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by trainer that are not searched."""
    starts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by trainer that the first trial has."""


def site_source(until: int | None = None) -> Source:
    """The site's events (up to `until`), split as a run splits them; what the run will be tested by is left out.

    Raises NoData.
    """
    log = event_log.read()
    if until is not None:
        log = log.where(log.times <= until)
        if not len(log):
            raise NoData("The events that this study was begun with are gone; begin another.")
    last = int(log.times[-1])
    kept, _ = event_log.without_repeats(log)
    history, _, _ = share_split(event_log.described(event_log.interactions(kept)), conf().test_share)
    train, validation, cutoff = share_split(history, VALIDATION_SHARE)
    if not (train.weights > 0).any() or not len(validation):
        raise NoData(f"{len(log)} events are too few to choose settings by; train with the defaults.")
    protocol = (
        f"this site's events before {event_log.moment(cutoff):%Y-%m-%d %H:%M} UTC to learn from, those after it to "
        f"choose by; the last {conf().test_share:.0%} of all are left for the run's own test"
    )
    return Source(SITE, protocol, train, validation, last)


def dataset_source(dataset: Dataset, seed: int) -> Source:
    train, validation = dataset.tuning(seed)
    return Source(dataset.name, f"{dataset.name}: {dataset.protocol}; chosen by its validation part", train, validation)


def plan(source: Source, metric: str, k: int, seed: int) -> Plan:
    return Plan(source.name, metric, k, seed, fingerprint(source, seed), source.until)


def fingerprint(source: Source, seed: int) -> str:
    """The same for the same events in the same split, asked in the same order."""
    found = hashlib.sha256(str(seed).encode())
    for part in (source.train, source.validation):
        for array in (part.user_rows, part.item_rows, part.weights, part.times, part.baskets, part.item_features):
            found.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    for ids in (source.train.users, source.train.items):
        found.update(ids.encoded.tobytes())
    return found.hexdigest()[:16]


def default_name(plan: Plan) -> str:
    return f"{label(plan.source)}-{plan.metric}{plan.k}-{plan.fingerprint[:8]}"


def label(source: str) -> str:
    """A source's name as a part of a folder's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", source).strip("-")[:60] or "data"


def known_plan(name: str) -> Plan | None:
    """The plan of a study; None where there is none yet. Raises StudyDamaged, InvalidInput for what cannot name one."""
    path = _folder(name) / PLAN
    try:
        said = json.loads(path.read_text())
        return Plan(**{**said, "trainers": tuple(said["trainers"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyDamaged(f"{path}: {error}. Move {path.parent} away, or give the study another name.") from error


def latest(source: str) -> str:
    """The study of that source that was worked on last. Raises UnknownStudy, StudyDamaged."""
    found = sorted(conf().tuning_dir.glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        known = known_plan(path.parent.name)
        if known is not None and known.source == source:
            return path.parent.name
    raise UnknownStudy(f"Nothing of {source} was tuned before: leave out --resume.")


class Session:
    """One go at a study: its searches share the time, and its leaderboard is written as they find."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        source: Source,
        *,
        options: Options,
        clock: Callable[[], float] = time.monotonic,
        on_trial: Callable[[str, Trial, Trial | None], None] = lambda trainer, trial, best: None,
    ) -> None:
        """`on_trial` hears of every trial, with the best of all so far. Raises InvalidInput, StudyDamaged."""
        self.name, self.plan, self.source = name, plan, source
        self._options, self._clock, self._on_trial = replace(options, seed=plan.seed), clock, on_trial
        self._folder = _folder(name)
        self._searches: list[Search] = []
        self._written = clock()

    def run(self, trainers: Sequence[str], *, seconds: float | None = None, fits: int | None = None) -> Board:
        """Search within these bounds; an interruption ends it early and is noted on the leaderboard that is returned.

        Raises NoData, InvalidConfig, StudyBusy, StudyDamaged, and with one trainer what its fits raise.
        """
        panel = Panel(self.source.train, self.source.validation, self.plan.metric, self.plan.k, self.plan.seed)
        with studies.opened(self._folder) as store:
            everyone = dict.fromkeys([*trainers, *(name for name in self.plan.trainers if name in TRAINERS)])
            self._searches = [
                Search(
                    name,
                    panel,
                    base=self.plan.fixed.get(name),
                    start=self.plan.starts.get(name),
                    options=self._options,
                    store=store,
                    clock=self._clock,
                    on_trial=self._heard,
                )
                for name in everyone
            ]
            self._write_plan(replace(self.plan, trainers=tuple(everyone)))
            ended, out = "failed", {}
            try:
                out = race(self._searches[: len(trainers)], seconds=seconds, fits=fits, clock=self._clock)
                ended = "finished"
            except KeyboardInterrupt:
                ended = "interrupted"
            finally:
                board = self._board(panel, ended, out)
                if board.entries:
                    leaderboards.write(board)
        return board

    def _heard(self, search: Search, trial: Trial) -> None:
        done = best_first([best for search in self._searches if (best := search.best) is not None])
        self._on_trial(search.trainer, trial, done[0] if done else None)
        if self._clock() - self._written >= WRITE_EVERY_S:
            leaderboards.write(self._board(search.panel, "running", {}))
            self._written = self._clock()

    def _board(self, panel: Panel, ended: str, out: Mapping[str, str]) -> Board:
        entries = [Entry(search.trainer, trial) for search in self._searches for trial in search.trials]
        entries.sort(key=lambda entry: rank(entry.trial))
        leader = entries[0].trial.users if entries else None
        for place, entry in enumerate(entries):
            if place == 0:
                entries[place] = replace(entry, leads=entry.trial.state == State.DONE)
            elif leader is not None and entry.trial.users is not None:
                entries[place] = replace(entry, behind=difference(leader, entry.trial.users))
        return Board(
            study=self.name,
            source=self.plan.source,
            protocol=self.source.protocol,
            metric=panel.name,
            users=panel.size,
            seed=self.plan.seed,
            updated_at=timezone.now(),
            ended=ended,
            entries=tuple(entries),
            out=dict(out),
            versions=versions(),
        )

    def _write_plan(self, plan: Plan) -> None:
        aside = self._folder / f"{PLAN}.{os.getpid()}.aside"
        aside.write_text(json.dumps(asdict(plan), indent=1))
        aside.replace(self._folder / PLAN)


def _folder(name: str) -> Path:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a study: take letters, digits, dots and dashes.")
    return conf().tuning_dir / name
