"""Which settings suit the data: a search by Optuna over the values a config names for its own fields.

A field of a trainer's config is searched where its metadata has "tune": a tuple of values to try. The tree-structured
Parzen estimator draws what was frequent among good trials and rare among others (Bergstra et al. 2011, section 4; over
all fields at once: Falkner, Klein, Hutter 2018, section 3).

What has no hope ends early: a fit that reports after each epoch, where it is below the median of what earlier trials
had by then (Golovin et al. 2017, section 3.2.2); any other by a part of the users (panel.py).

Every draw has a seed of its own, made of the search's seed and of how many draws were told before. So a search that was
interrupted and goes on later tries what it would have tried anyway, where no clock decided what is tried.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import inf, isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, NotFinite, TooLarge
from recommender.engine.evaluation.panel import Panel, difference, mean
from recommender.engine.evaluation.space import Point, Space
from recommender.engine.evaluation.studies import Store
from recommender.engine.evaluation.trials import State, Trial, best_first
from recommender.engine.trainers import Options, Progress, Query, make_config, search_space, trainer

if TYPE_CHECKING:  # Optuna is imported where it works: web processes know this module and not Optuna
    import optuna

RANDOM_TRIALS = 8  # drawn evenly before the estimator has enough to go by
REPEATS = 8  # draws of settings already known, one after another, before some that are not known are taken instead
COMPARED_TRIALS, WARM_UP_EPOCHS = 4, 2  # trials and epochs before a median says anything
ALL_FAIL = 4  # trials without any that did not fail, after which a search gives up
PART_STEP = 10**6  # where Optuna finds the value on the part of the users: behind all epochs
FIT_SHARE, PART_SHARE = 0.7, 0.8  # of a trial's progress when it is fitted, and when the part was asked


class _OutOfTime(Cancelled):
    """Time is up."""


class _Hopeless(Cancelled):
    """Others were better by then."""


def tune(
    trainer_name: str,
    train: Interactions,
    validation: Interactions,
    *,
    metric: str = "ndcg",
    k: int = 10,
    trials: int = 20,
    base: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> list[Trial]:
    """Fit on `train`, judge on `validation`, best first. Remembers nothing.

    The first trial is `base` as it stands; a field that `base` names is not searched. `options.seed` decides what is
    drawn, and the same settings are never fitted twice. Raises NoData where nobody can be asked, and what fitting
    raises, but NotFinite and TooLarge, which are failed trials.
    """
    options = options or Options()

    def progress(share: float, message: str) -> None:
        options.progress(min(1.0, (search.fits + share) / trials), message)

    panel = Panel(train, validation, metric, k, options.seed)
    search = Search(trainer_name, panel, base=base, options=replace(options, progress=progress))
    search.run(trials)
    options.progress(1.0, f"{search.fits} trials")
    return best_first(search.trials)


class Search:
    """One trainer's search; it goes on from what `store` remembers. `clock` gives seconds.

    The first trial is the trainer's defaults, changed by `start` and by `base`. What `base` names stays so in all
    trials; what `start` names is searched where the trainer says so. Raises InvalidConfig, UnknownName, StudyDamaged.
    """

    def __init__(
        self,
        trainer_name: str,
        panel: Panel,
        *,
        base: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
        options: Options | None = None,
        store: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_trial: Callable[["Search", Trial], None] = lambda search, trial: None,
    ) -> None:
        import optuna

        self.trainer = trainer_name
        self.panel = panel
        self.fits = 0
        """Trials of this session."""
        self._options, self._clock, self._on_trial = options or Options(), clock, on_trial
        self._store = store or Store.in_memory()
        self._defaults = asdict(make_config(trainer_name, {}))
        self._base = asdict(make_config(trainer_name, {**(start or {}), **(base or {})}))
        self._space = Space(
            {name: values for name, values in search_space(trainer_name).items() if name not in (base or {})}
        )
        # Other values to try, or others that stay, make another study: Optuna's trials are points of one space.
        self._name = f"{trainer_name}-{_short_hash([self._space.values, self._base])}"
        self._study = self._store.study(
            self._name, optuna.pruners.MedianPruner(COMPARED_TRIALS, WARM_UP_EPOCHS, n_min_trials=COMPARED_TRIALS)
        )
        self._known: dict[str, Trial] = {}
        self._abandoned: dict[str, Trial] = {}
        self._points: set[Point] = set()
        self._told = 0
        self._recall()

    @property
    def trials(self) -> list[Trial]:
        """All there were, the same settings once, in the order tried."""
        abandoned = [trial for key, trial in self._abandoned.items() if key not in self._known]
        return sorted([*self._known.values(), *abandoned], key=lambda trial: trial.number)

    @property
    def best(self) -> Trial | None:
        """The best of those measured to the end."""
        done = [trial for trial in self._known.values() if trial.state == State.DONE]
        return best_first(done)[0] if done else None

    @property
    def begun(self) -> bool:
        """Whether it is known what the base reaches."""
        return _key(self._base) in self._known

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to try."""
        return self.begun and len(self._points) >= self._space.size

    @property
    def stuck(self) -> bool:
        """Whether all that was tried failed, and it was enough to see that the rest will."""
        return len(self._known) >= ALL_FAIL and all(trial.state == State.FAILED for trial in self._known.values())

    @property
    def usual_s(self) -> float:
        """Seconds that a trial takes, by the median so far; 0 where there was none."""
        done = [trial.fit_s + trial.score_s for trial in self._known.values() if trial.state == State.DONE]
        return median(done) if done else 0.0

    def run(
        self,
        fits: int | None = None,
        *,
        soft: float | None = None,
        hard: float | None = None,
        base_finishes: bool = True,
    ) -> None:
        """Try until this session had `fits` trials, nothing is left to try, or time is up.

        `soft` and `hard` are times of the clock: no trial begins that is likely to end after `soft`, one under way at
        `hard` is abandoned. With `base_finishes`, the base is tried to its end nevertheless. Raises what fitting raises
        but NotFinite and TooLarge, what `options.progress` raises, and KeyboardInterrupt; all found before stays.
        """
        while not self.exhausted and not self.stuck and (fits is None or self.fits < fits):
            free = base_finishes and not self.begun
            now = self._clock()
            if not free and ((hard is not None and now >= hard) or (soft is not None and now + self.usual_s > soft)):
                return
            if self._try(None if free else hard).state == State.ABANDONED:
                return

    def _try(self, hard: float | None) -> Trial:
        drawn, full = self._draw()
        started = self._clock()
        is_base = _key(full) == _key(self._base)

        def progress(share: float, message: str) -> None:
            if hard is not None and self._clock() >= hard:
                raise _OutOfTime()
            best = f" (best {self.panel.name} so far {self.best.value:.4f})" if self.best else ""
            self._options.progress(share, f"{self.trainer}, trial {drawn.number + 1}{best}: {message}")

        def ended(state: State, note: str, value: float = -inf) -> Trial:
            took_s = self._clock() - started
            return self._finish(drawn, full, Trial(self._differing(full), value, state, note=note, fit_s=took_s))

        try:
            query = self._fit(drawn, full, is_base, progress)
            fitted = self._clock()
            users = self._ask(query, is_base, progress)
        except _OutOfTime:
            trial = ended(State.ABANDONED, "time was up")
        except _Hopeless as error:
            trial = ended(State.PRUNED, error.detail, error.context.get("value", -inf))
        except (NotFinite, TooLarge) as error:
            trial = ended(State.FAILED, error.message)
        except MemoryError:
            trial = ended(State.FAILED, "There was not enough memory.")
        except InvalidConfig as error:  # values of the space that do not go together
            if is_base:
                ended(State.ABANDONED, error.message)
                raise
            trial = ended(State.FAILED, error.message)
        except BaseException as error:  # an interruption too
            ended(State.ABANDONED, type(error).__name__)
            raise
        else:
            reached = mean(users)
            trial = Trial(
                self._differing(full),
                reached.value,
                low=reached.low,
                high=reached.high,
                fit_s=fitted - started,
                score_s=self._clock() - fitted,
                users=users,
            )
            trial = self._finish(drawn, full, trial)
        self.fits += 1
        self._on_trial(self, trial)
        return trial

    def _fit(self, drawn: "optuna.Trial", full: Mapping[str, Any], is_base: bool, progress: Progress) -> Query:
        reported: set[int] = set()

        def report(epoch: int, value: float) -> None:
            if epoch in reported or not isfinite(value):
                return
            reported.add(epoch)
            drawn.report(value, epoch)
            if not is_base and drawn.should_prune():
                raise _Hopeless(f"after epoch {epoch}")

        progress(0.0, _words(self._differing(full)))
        kind, config = trainer(self.trainer), make_config(self.trainer, full)
        inner = _between(progress, 0.0, FIT_SHARE)
        options = replace(self._options, held=None, checkpoints=None, progress=inner, report=report)
        return kind.query(kind.fit(self.panel.train, config, options), config)

    def _ask(self, query: Query, is_base: bool, progress: Progress) -> NDArray[np.float64]:
        """What every user of the panel gets from it, float64 (V,). Raises _Hopeless after the first part of them."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=self._options.threads):
            part = self.panel.part(query, _between(progress, FIT_SHARE, PART_SHARE))
            best = self.best
            leader = None if is_base or best is None else best.users
            if len(part) and leader is not None and difference(part, leader[: len(part)]).high < 0:
                raise _Hopeless(f"by {len(part):,} of {self.panel.size:,} users", value=float(part.mean()))
            rest = self.panel.rest(query, _between(progress, PART_SHARE, 1.0))
        return np.concatenate((part, rest))

    def _draw(self) -> tuple["optuna.Trial", dict[str, Any]]:
        """The base where it is not known, then settings that are not; what Optuna draws again it is told again."""
        base_inside = self._space.point(self._base) is not None
        if not self.begun and base_inside:
            self._enqueue(self._space.point(self._base))
        repeats = 0
        while True:
            if repeats >= REPEATS:
                self._enqueue(self._space.unknown_point(self._points, self._seed(1)))
            drawn = self._ask_optuna()
            values = self._space.drawn(drawn) if self.begun or base_inside else {}  # Optuna cannot know another base
            full = {**self._base, **values}
            known = self._known.get(_key(full))
            if known is None:
                return drawn, full
            self._tell(drawn, known)
            repeats += 1

    def _enqueue(self, point: Point | None) -> None:
        if point:  # one without fields is drawn anyway
            self._study.enqueue_trial(dict(zip(self._space.values, point, strict=True)))

    def _ask_optuna(self) -> "optuna.Trial":
        import optuna

        self._study.sampler = optuna.samplers.TPESampler(
            seed=self._seed(0), multivariate=True, n_startup_trials=RANDOM_TRIALS, constant_liar=False
        )
        return self._study.ask()

    def _seed(self, stream: int) -> int:
        return int(np.random.SeedSequence([self._options.seed, self._told, stream]).generate_state(1)[0])

    def _differing(self, full: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in full.items() if value != self._defaults[name]}

    def _finish(self, drawn: "optuna.Trial", full: Mapping[str, Any], trial: Trial) -> Trial:
        trial = replace(trial, number=drawn.number, fit_s=round(trial.fit_s, 3), score_s=round(trial.score_s, 3))
        if trial.users is not None:
            self._store.keep(self._name, drawn.number, trial.users)
        drawn.set_user_attr("full", dict(full))
        drawn.set_user_attr("trial", trial.as_json())
        self._tell(drawn, trial)
        self._know(full, trial)
        return trial

    def _tell(self, drawn: "optuna.Trial", trial: Trial) -> None:
        from optuna.trial import TrialState

        if trial.state == State.ABANDONED or (self._space.values and not drawn.params):
            # It tells nothing, or it is a base outside the space, where the estimator cannot place it.
            self._study.tell(drawn, state=TrialState.FAIL)
        elif trial.state == State.DONE:
            self._study.tell(drawn, trial.value)
        else:  # the estimator takes pruned trials for worse than all others, and those without a value for the worst
            if isfinite(trial.value):
                drawn.report(trial.value, PART_STEP)
            self._study.tell(drawn, state=TrialState.PRUNED)
        self._told += trial.state != State.ABANDONED

    def _know(self, full: Mapping[str, Any], trial: Trial) -> None:
        if trial.state == State.ABANDONED:
            self._abandoned[_key(full)] = trial
            return
        self._known[_key(full)] = trial
        if (point := self._space.point(full)) is not None:
            self._points.add(point)

    def _recall(self) -> None:
        """Take up what the study knows. A trial left unfinished belonged to a process that was killed."""
        from optuna.trial import TrialState

        for old in self._study.get_trials(deepcopy=False):
            if old.state == TrialState.RUNNING:
                self._study.tell(old.number, state=TrialState.FAIL)
            said = old.user_attrs.get("trial")
            if said is not None:
                full = {name: tuple(v) if isinstance(v, list) else v for name, v in old.user_attrs["full"].items()}
                trial = Trial.from_json(said, self._store.values(self._name, old.number, self.panel.size))
                self._know(full, replace(trial, config=self._differing(full)))
                self._told += trial.state != State.ABANDONED
            elif old.state in (TrialState.COMPLETE, TrialState.PRUNED):  # a repeat
                self._told += 1


def _between(progress: Progress, low: float, high: float) -> Progress:
    return lambda share, message: progress(low + (high - low) * min(max(share, 0.0), 1.0), message)


def _key(full: Mapping[str, Any]) -> str:
    """The same text for the same settings."""
    return json.dumps(full, sort_keys=True, default=str)


def _short_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _words(config: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in config.items()) or "defaults"


__all__ = ["Search", "State", "Trial", "best_first", "search_space", "tune"]
