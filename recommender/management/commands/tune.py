"""manage.py tune: find the trainer and the settings that suit this site's events, or a data set."""

import json
import os
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.urls import reverse
from tqdm import tqdm

from recommender import tasks
from recommender.conf import conf
from recommender.engine.data.datasets import Dataset
from recommender.engine.errors import RecommenderError
from recommender.engine.evaluation.trials import State, Trial
from recommender.engine.metrics import PER_USER
from recommender.engine.trainers import TRAINERS, Options
from recommender.management.data_arguments import (
    add_data_arguments,
    chosen_dataset,
    names_data,
    settings_by_trainer,
)
from recommender.services import console, leaderboards, tuning
from recommender.services.leaderboards import SITE, Board

MINUTES = 10.0  # where neither minutes nor trials are given
METRIC, K, SEED = "ndcg", 10, 42
SEARCHERS = {"auto"}  # which "all" leaves out: it searches by itself, among the others
ROWS = 15  # of the leaderboard that are printed


class Command(BaseCommand):
    help = "Find the trainer and the settings that suit this site's events, or a data set."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_data_arguments(parser)
        parser.add_argument(
            "--trainer",
            action="append",
            choices=[*TRAINERS, "all"],
            help="may be repeated (default: the site's own; for data sets, als)",
        )
        parser.add_argument("--minutes", type=float, help=f"time in all (default: {MINUTES:.0f}, without --trials)")
        parser.add_argument("--trials", type=int, help="fits of each trainer in this session, the first one included")
        parser.add_argument("--metric", choices=list(PER_USER), help=f"what decides (default: {METRIC})")
        parser.add_argument("--k", type=int, help=f"length of the lists looked at (default: {K})")
        parser.add_argument("--config", help='JSON: settings not to be searched, or {"als": settings, ...}')
        parser.add_argument("--seed", type=int, help=f"of draws and fits (default: {SEED})")
        parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
        parser.add_argument("--study", help="the study's name (default: made of the data, the metric and the events)")
        parser.add_argument(
            "--resume", action="store_true", help="go on with the latest study, or the one --study names"
        )
        parser.add_argument("--leaderboard", action="store_true", help="search nothing; print what is stored")
        parser.add_argument("--json", type=Path, help="also write the leaderboard to this file")
        parser.add_argument("--publish", action="store_true", help="queue a training run with the best settings")

    def handle(self, *args: Any, **options: Any) -> None:
        source = _source_name(options)
        if options["publish"] and source != SITE:
            raise CommandError("--publish trains on this site's events: leave out the data set.")
        try:
            if options["leaderboard"]:
                board = leaderboards.find(options["study"], None if options["study"] else source)
            else:
                board = self.search(source, options)
            self.print_board(board)
            if options["json"]:
                options["json"].write_text(json.dumps(board.as_json(), indent=1, allow_nan=False))
            if board.ended == "interrupted" and not options["leaderboard"]:
                self.stdout.write(f"\nInterrupted. Go on with: manage.py tune {_again(source, options, board.study)}")
            elif options["publish"]:
                self.publish(board)
        except RecommenderError as error:
            raise CommandError(str(error)) from error
        except ImportError as error:
            raise CommandError(f"This trainer needs a package that is not installed: {error}") from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'A file'} cannot be read or written: {error.strerror}.") from error

    def search(self, source_name: str, options: Mapping[str, Any]) -> Board:
        seconds, fits = _bounds(options)
        dataset = chosen_dataset(options) if source_name != SITE else None
        name, plan, source = _study(source_name, dataset, options)
        trainers = list(
            dict.fromkeys(options["trainer"] or plan.trainers or [conf().trainer if not dataset else "als"])
        )
        if "all" in trainers:
            trainers = sorted(set(TRAINERS) - SEARCHERS, key=lambda trainer: (trainer != conf().trainer, trainer))
        if options["config"] is not None:
            plan = replace(plan, fixed={**plan.fixed, **settings_by_trainer(options["config"], trainers)})
        elif not dataset and conf().trainer in trainers and conf().trainer not in plan.starts:
            plan = replace(plan, starts={conf().trainer: dict(conf().trainer_config)})
        self.stdout.write(f"Study {name}: {source.protocol}.")
        until = " and ".join(
            ([f"{console.span(seconds)} in all"] if seconds else []) + ([f"{fits} trials each"] if fits else [])
        )
        self.stdout.write(f"Searching {', '.join(trainers)}: {until}. Ctrl-C ends it and keeps what was found.")
        bar = Bar(seconds, fits, len(trainers))

        def heard(trainer: str, trial: Trial, best: Trial | None) -> None:
            bar.trials += 1
            bar.clear()
            self.stdout.write(_line(trainer, trial, trial is best))

        engine = Options(threads=options["threads"], device=conf().device, progress=bar.progress)
        try:
            return tuning.Session(name, plan, source, options=engine, on_trial=heard).run(
                trainers, seconds=seconds, fits=fits
            )
        finally:
            bar.close()

    def print_board(self, board: Board) -> None:
        self.stdout.write("\n" + "\n".join(leaderboards.table(board, ROWS)))
        if len(board.entries) > ROWS:
            self.stdout.write(f"... and {len(board.entries) - ROWS} more; --json writes all")
        self.stdout.write("\n" + "\n".join(leaderboards.notes(board)))

    def publish(self, board: Board) -> None:
        best = board.best
        if best is None:
            raise CommandError("Nothing was measured to its end, so there is nothing to publish.")
        answers: list[bool] = []
        with transaction.atomic():
            run = leaderboards.request_training(best, board, requested_by="manage.py tune")
            transaction.on_commit(lambda: answers.append(tasks.wake(run.pk)))
        page = reverse("admin:recommender_run_change", args=[run.pk])
        goes_live = "goes live" if conf().auto_publish else "waits for staff to publish it"
        self.stdout.write(f"\nRun {run.pk} is queued: {best.trainer}, {best.settings}. Watch it at {page}")
        self.stdout.write(f"Where it passes the gate it {goes_live}. The nightly training does the same with")
        self.stdout.write(f"  TRAINER={best.trainer} TRAINER_CONFIG='{json.dumps(best.trial.config)}'")
        if False in answers:
            self.stdout.write(self.style.WARNING("The broker (Redis) does not answer: the run waits until it does."))


class Bar:
    """What is under way and what time is left, on standard error, where that is a terminal."""

    def __init__(self, seconds: float | None, fits: int | None, trainers: int) -> None:
        self.trials = 0
        self._seconds, self._most = seconds, fits * trainers if fits else None
        self._started = time.monotonic()
        self._bar = tqdm(total=100, leave=False, disable=None, bar_format="{bar:20} {postfix}")

    def progress(self, share: float, message: str) -> None:
        spent_s = time.monotonic() - self._started
        shares = [(self.trials + share) / self._most] if self._most else []
        shares += [spent_s / self._seconds] if self._seconds else []
        left = f", {console.span(max(0.0, self._seconds - spent_s))} left" if self._seconds else ""
        self._bar.set_postfix_str(f"{message}{left}", refresh=False)
        self._bar.update(100 * min(1.0, max(shares)) - self._bar.n)

    def clear(self) -> None:
        self._bar.clear()

    def close(self) -> None:
        self._bar.close()


def _source_name(options: Mapping[str, Any]) -> str:
    if not names_data(options):
        return SITE
    return options["dataset"] or (options["sequences"].name if options["sequences"] else "npz")


def _bounds(options: Mapping[str, Any]) -> tuple[float | None, int | None]:
    """Seconds and fits."""
    minutes, trials = options["minutes"], options["trials"]
    if minutes is not None and not (isfinite(minutes) and minutes > 0):
        raise CommandError("--minutes must be above 0.")
    if trials is not None and trials < 1:
        raise CommandError("--trials must be 1 or more.")
    if options["threads"] < 1:
        raise CommandError("--threads must be 1 or more.")
    if options["k"] is not None and options["k"] < 1:
        raise CommandError("--k must be 1 or more.")
    if options["seed"] is not None and options["seed"] < 0:
        raise CommandError("--seed must be 0 or more.")
    if minutes is None and trials is None:
        minutes = MINUTES
    return (None if minutes is None else 60 * minutes), trials


def _study(
    source_name: str, dataset: Dataset | None, options: Mapping[str, Any]
) -> tuple[str, tuning.Plan, tuning.Source]:
    """The study's name, what it searches and in what: an earlier one's, or a new one's."""
    name = options["study"]
    if options["resume"] and not name:
        name = tuning.latest(source_name)
    known = tuning.known_plan(name) if name else None
    if options["resume"] and known is None:
        raise CommandError(f"There is no study {name}; without --resume, it is begun.")
    metric = options["metric"] or (known.metric if known else METRIC)
    k = options["k"] or (known.k if known else K)
    seed = options["seed"] if options["seed"] is not None else known.seed if known else SEED
    if known and (source_name, metric, k, seed) != (known.source, known.metric, known.k, known.seed):
        was = f"{known.source} by {known.metric}@{known.k} with seed {known.seed}"
        raise CommandError(f"The study {name} searches {was}; give another --study its own name.")
    source = tuning.dataset_source(dataset, seed) if dataset else tuning.site_source(known.until if known else None)
    fresh = tuning.plan(source, metric, k, seed)
    if known and known.fingerprint != fresh.fingerprint:
        raise CommandError(
            f"The events or the catalogue that {name} was begun with have changed since; begin another study."
        )
    name = name or tuning.default_name(fresh)
    return name, known or tuning.known_plan(name) or fresh, source


def _line(trainer: str, trial: Trial, is_best: bool) -> str:
    value = f"{trial.value:.4f}" if isfinite(trial.value) else "-"
    settings = ", ".join(f"{name}={value}" for name, value in trial.config.items()) or "defaults"
    ended = "" if trial.state == State.DONE else f" ({trial.state.value}{': ' if trial.note else ''}{trial.note})"
    star = "*" if is_best else " "
    took = f"{trial.fit_s + trial.score_s:7.1f} s"
    return f"{star} {trainer:<12} {trial.number + 1:>3}  {value:>7}  {took}  {settings}{ended}"


def _again(source: str, options: Mapping[str, Any], study: str) -> str:
    """The arguments that go on with it."""
    words = [options["dataset"]] if options["dataset"] else []
    for name in ("train", "test", "validation", "sequences"):
        words += [f"--{name}", str(options[name])] if options[name] else []
    words += ["--layout", options["layout"]] if options["sequences"] else []
    return " ".join([*words, "--resume", "--study", study])
