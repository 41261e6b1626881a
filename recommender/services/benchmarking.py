"""Measuring trainers on a data set: fit, ask, compare with what is popular. Reads no table."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from recommender.engine.artifact import versions
from recommender.engine.data.datasets import Dataset
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.gate import BASELINE
from recommender.engine.evaluation.protocol import Report, evaluate, paired_difference
from recommender.engine.evaluation.tuning import Trial, search_space, tune
from recommender.engine.trainers import Options, Progress, make_config, trainer
from recommender.services import memory

MIB = 2**20  # bytes

Watch = Callable[[str], Progress]  # from a stage's name to what is told about its progress


@dataclass(frozen=True)
class Result:
    trainer: str
    config: Mapping[str, Any]
    trials: list[Trial]
    """What tuning tried on the validation part, best first; empty where nothing was tuned."""
    refitted: bool
    """Whether the final fit learned from the validation part too."""
    fit_s: float
    score_s: float
    peak_mib: float
    """Most memory the process held while fitting and scoring; since its start, where the system cannot forget peaks."""
    report: Report

    def as_json(self, baseline: Report) -> dict[str, Any]:
        metric = deciding_metric(self.report)
        return {
            "trainer": self.trainer,
            "config": dict(self.config),
            "trials": [{"config": dict(trial.config), "value": trial.value} for trial in self.trials],
            "refitted": self.refitted,
            "fit_s": self.fit_s,
            "score_s": self.score_s,
            "peak_mib": self.peak_mib,
            "over_popularity": {metric: paired_difference(self.report, baseline, metric).as_json()},
            "report": self.report.as_json(),
        }


def measure_accuracy(
    dataset: Dataset,
    trainers: Sequence[str],
    *,
    ks: Sequence[int] = (10, 20),
    configs: Mapping[str, Mapping[str, Any]] | None = None,
    tune_trials: int = 0,
    refit: bool = False,
    seed: int = 42,
    threads: int = 1,
    watch: Watch,
) -> list[Result]:
    """Each trainer's result on the test part, popularity's first.

    With `tune_trials`, settings are chosen on a validation part; the test part is read once, at the end. Where that
    part was cut from the training part, the final fit learns from all of the training part; where the set brings its
    own, only with `refit`. Raises InvalidDataset, InvalidConfig, UnknownName and what fitting raises.
    """
    names = [BASELINE, *(name for name in dict.fromkeys(trainers) if name != BASELINE)]
    own_validation = dataset.validation is not None
    results = []
    for name in names:
        values: Mapping[str, Any] = (configs or {}).get(name, {})
        trials: list[Trial] = []
        if tune_trials and search_space(name):
            options = Options(seed, threads, progress=watch(f"{name}: tuning"))
            train, validation = dataset.tuning(seed)
            trials = tune(name, train, validation, k=min(ks), trials=tune_trials, base=values, options=options)
            values = trials[0].config
        config, kind = make_config(name, values), trainer(name)
        learned_from = dataset.history if refit else dataset.train
        memory.forget_peak()
        started = time.perf_counter()
        arrays = kind.fit(learned_from, config, Options(seed, threads, progress=watch(f"{name}: fitting")))
        fitted = time.perf_counter()
        report = evaluate(
            kind.query(arrays, config), dataset.history, dataset.test, ks, seed=seed, progress=watch(f"{name}: scoring")
        )
        scored = time.perf_counter()
        results.append(
            Result(
                trainer=name,
                config=asdict(config),
                trials=trials,
                refitted=refit if own_validation else bool(trials),
                fit_s=fitted - started,
                score_s=scored - fitted,
                peak_mib=memory.peak_bytes() / MIB,
                report=report,
            )
        )
    return results


def deciding_metric(report: Report) -> str:
    return f"ndcg@{min(report.ks)}"


def accuracy_table(results: Sequence[Result], metrics: Sequence[str]) -> list[str]:
    """Lines: one trainer a row, each metric with its 95 % interval, seconds and peak memory."""
    names = [f"{metric}@{k}" for metric in metrics for k in results[0].report.ks]
    header = ["trainer", *(f"{name} [95 %]" for name in names), "fit s", "score s", "peak MiB"]
    rows = [
        [
            result.trainer,
            *(_figure(result.report.main[name]) for name in names),
            f"{result.fit_s:.1f}",
            f"{result.score_s:.1f}",
            f"{result.peak_mib:.0f}",
        ]
        for result in results
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, ["-" * width for width in widths], *rows]:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([row[0].ljust(len(first)), *others]))
    return lines


def accuracy_notes(dataset: Dataset, results: Sequence[Result]) -> list[str]:
    """What the table leaves out, in sentences: the protocol, the users, the settings, the gain over popularity."""
    baseline = results[0].report
    users, cold = int(baseline.warm.sum()), int((~baseline.warm).sum())
    notes = [
        f"{dataset.name}: {dataset.protocol}. {dataset.train.shape[0]:,} users, {dataset.train.shape[1]:,} items, "
        f"{len(dataset.train):,} events to learn from.",
        f"{users:,} test users with a history, {cold:,} cold ones (not in the table). "
        "All items are ranked, but those that a user has.",
    ]
    for result in results:
        said = [f"best of {len(result.trials)} on the validation part" if result.trials else "as given"]
        if result.trials or dataset.validation is not None:
            said.append(f"{'refitted with' if result.refitted else 'fitted without'} the validation part")
        settings = ", ".join(f"{name}={value}" for name, value in result.config.items())
        notes.append(f"{result.trainer}: {settings} ({'; '.join(said)}).")
        if result.trainer != BASELINE:
            metric = deciding_metric(baseline)
            gain = paired_difference(result.report, baseline, metric)
            notes.append(
                f"{result.trainer} over popularity in {metric}: {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]."
            )
    return notes


def accuracy_json(dataset: Dataset, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "protocol": dataset.protocol,
        "versions": versions(),
        "results": [result.as_json(results[0].report) for result in results],
    }


def _figure(interval: Interval) -> str:
    return f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
