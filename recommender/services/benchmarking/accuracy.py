"""How well trainers find what users took next: fit, ask, compare. Each in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.datasets import Dataset
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import without_known_pairs
from recommender.engine.errors import RecommenderError
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.gate import BASELINE
from recommender.engine.evaluation.protocol import BATCH_BYTES, Report, evaluate, paired_difference
from recommender.engine.evaluation.tuning import Trial, search_space, tune
from recommender.engine.index.exact import top_k
from recommender.engine.trainers import Options, Query, Settles, make_config, trainer
from recommender.services import memory
from recommender.services.benchmarking import processes
from recommender.services.benchmarking.processes import MIB, Clock, Limits, Refusal, Watch

Lists = NDArray[np.int32]


@dataclass(frozen=True)
class Result:
    """What one trainer, or a peer, achieved and what it cost."""

    name: str
    config: Mapping[str, Any]
    report: Report
    fit_s: float
    fit_cpu_s: float
    """Of all cores together; machines are shared, so the wall's seconds hold other people's work too."""
    score_s: float
    score_cpu_s: float
    fit_mib: float
    """Most memory that its process held while fitting, Python, libraries and the data included."""
    score_mib: float
    """The same while scoring; our protocol holds whole blocks of users times items."""
    trials: Sequence[Trial] = ()
    """What tuning tried on the validation part, best first; empty where nothing was tuned."""
    refitted: bool = False
    """Whether the final fit learned from the validation part too."""
    peer: bool = False
    settled: Mapping[str, Any] = field(default_factory=dict)
    """What a trainer that chooses while it learns has chosen, as it describes it."""
    lists: Lists | None = None
    """int32 (V, K): what each user of the report was shown, best first, where that was asked for."""

    def cost_s(self, clock: str) -> float:
        """To fit and to score, by the "wall" or of the "cpu"."""
        return self.fit_cpu_s + self.score_cpu_s if clock == "cpu" else self.fit_s + self.score_s


@dataclass(frozen=True)
class Row:
    """One line of the table: a result, or why there is none."""

    name: str
    found: Result | Refusal
    peer: bool = False


@dataclass(frozen=True)
class Setup:
    """How every trainer is measured."""

    ks: Sequence[int] = (10, 20)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by trainer; what is not named keeps its default."""
    tune_trials: int = 0
    """Settings tried on a validation part, for trainers that have some to try; 0 takes those given."""
    refit: bool = False
    """Learn from the set's own validation part too, at the end."""
    seed: int = 42
    threads: int = 1
    keep_lists: bool = False
    limits: Limits = processes.NO_LIMITS


def measure_accuracy(
    dataset: Dataset,
    trainers: Sequence[str],
    setup: Setup,
    watch: Watch,
    run: Callable[..., Result | Refusal] = processes.apart,
) -> list[Row]:
    """A row for each trainer on the test part, popularity's first.

    With tuning, settings are chosen on a validation part; the test part is read once, at the end. Where that part was
    cut from the training part, the final fit learns from all of the training part; where the set brings its own, only
    with `refit`. A trainer that refuses, fails or goes over a limit is a row with its reason. Raises InvalidConfig or
    UnknownName before anything is measured, and RecommenderError where popularity has no result: without it there is
    nothing to compare with.
    """
    names = [BASELINE, *(name for name in dict.fromkeys(trainers) if name != BASELINE)]
    for name in names:
        make_config(name, setup.configs.get(name, {}))
    rows = []
    for name in names:
        found = run(measure_one, dataset, name, setup, watch=watch, limits=setup.limits)
        if isinstance(found, Refusal) and name == BASELINE:
            raise RecommenderError(found.reason)
        rows.append(Row(name, found))
    return rows


def measure_one(watch: Watch, dataset: Dataset, name: str, setup: Setup) -> Result:
    """Tune where asked, fit and judge one trainer here. Raises what fitting raises."""
    values: Mapping[str, Any] = setup.configs.get(name, {})
    trials: list[Trial] = []
    if setup.tune_trials and search_space(name):
        options = Options(setup.seed, setup.threads, progress=watch(f"{name}: tuning"))
        train, validation = dataset.tuning(setup.seed)
        trials = tune(name, train, validation, k=min(setup.ks), trials=setup.tune_trials, base=values, options=options)
        values = trials[0].config
    config, kind = make_config(name, values), trainer(name)
    own_validation = dataset.validation is not None
    learned_from, held = (dataset.history, None) if setup.refit else (dataset.train, dataset.validation)
    options = Options(setup.seed, setup.threads, held=held, progress=watch(f"{name}: fitting"))
    history, test = dataset.history, dataset.test
    memory.forget_peak()
    clock = Clock()
    arrays = kind.fit(learned_from, config, options)
    fit_s, fit_cpu_s = clock.read()
    fit_mib = memory.peak_bytes() / MIB
    memory.forget_peak()
    clock = Clock()
    query = kind.query(arrays, config)
    report = evaluate(query, history, test, setup.ks, seed=setup.seed, progress=watch(f"{name}: scoring"))
    score_s, score_cpu_s = clock.read()
    score_mib = memory.peak_bytes() / MIB
    return Result(
        name=name,
        config=asdict(config),
        report=report,
        fit_s=fit_s,
        fit_cpu_s=fit_cpu_s,
        score_s=score_s,
        score_cpu_s=score_cpu_s,
        fit_mib=fit_mib,
        score_mib=score_mib,
        trials=trials,
        settled=kind.described(arrays) if isinstance(kind, Settles) else {},
        refitted=setup.refit if own_validation else bool(trials),
        lists=top_lists(query, history, report.user_rows, max(setup.ks)) if setup.keep_lists else None,
    )


def top_lists(query: Query, history: Interactions, user_rows: NDArray[np.int32], k: int) -> Lists:
    """int32 (V, K): the K = min(k, N) best items for each user that the history lacks, as `evaluate` ranks them."""
    n = history.shape[1]
    size = max(1, BATCH_BYTES // (4 * max(n, 1)))
    lists = np.empty((len(user_rows), min(k, n)), dtype=np.int32)
    for start in range(0, len(user_rows), size):
        histories = history.histories(user_rows[start : start + size])
        scores = np.array(query.scores(histories), dtype=np.float32)
        scores[~np.isfinite(scores)] = -np.inf
        scores[histories.user_rows, histories.item_rows] = -np.inf
        rows, best = top_k(scores, k)
        lists[start : start + size] = np.where(best > -np.inf, rows, -1)
    return lists


def asked(dataset: Dataset) -> Interactions:
    """The test events that `evaluate` asks for: liked, and new to the user."""
    return without_known_pairs(dataset.test.where(dataset.test.weights > 0), dataset.history)


def deciding_metric(report: Report) -> str:
    return f"ndcg@{min(report.ks)}"


def results(rows: Sequence[Row]) -> list[Result]:
    return [row.found for row in rows if isinstance(row.found, Result)]


def best(rows: Sequence[Row]) -> Result:
    """The result that leads in the deciding metric; the first of those that have the same."""
    found = results(rows)
    metric = deciding_metric(found[0].report)
    return max(found, key=lambda result: result.report.main[metric].value)


def difference(a: Result, b: Result) -> Interval:
    """By how much `a` is better in the deciding metric, over the same users, with its 95 % interval."""
    return paired_difference(a.report, b.report, deciding_metric(a.report))


def verdict(interval: Interval) -> str:
    """What an interval of a difference allows to be said."""
    if interval.low > 0:
        return "better"
    return "worse" if interval.high < 0 else "ties"
