"""How seconds and memory grow with events: synthetic interactions of each size, one process for each fit."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from recommender.engine.artifact import versions
from recommender.engine.data import synthetic
from recommender.engine.data.interactions import Ids, Interactions
from recommender.engine.trainers import Options, make_config, trainer
from recommender.services import memory
from recommender.services.benchmarking import processes
from recommender.services.benchmarking.processes import MIB, Clock, Limits, Refusal, Watch
from recommender.services.benchmarking.tables import layout

WARM_UP_EVENTS = 3000  # fitted first, so that libraries are loaded and threads started before the clock runs
IMPLICIT = "implicit ALS, called directly"
PASSES = ("epochs", "iterations")  # settings that say how often a trainer goes over the data
FITTED_SIZES = 3  # the largest; in smaller ones what does not grow outweighs what does


@dataclass(frozen=True)
class Spent:
    fit_s: float
    fit_cpu_s: float
    start_mib: float
    """Held before: Python, the libraries, the events."""
    peak_mib: float
    pairs: int
    """Distinct (user, item), which is what most trainers grow with."""


@dataclass(frozen=True)
class Measured:
    """One fit, or why there is none."""

    trainer: str
    events: int
    users: int
    items: int
    config: Mapping[str, Any]
    threads: int
    fit_s: float = 0.0
    fit_cpu_s: float = 0.0
    start_mib: float = 0.0
    peak_mib: float = 0.0
    pairs: int = 0
    refusal: str = ""

    @property
    def label(self) -> str:
        """The trainer, and how often it went over the data where it goes more than once."""
        for name in PASSES:
            if name in self.config:
                count = self.config[name]
                return f"{self.trainer}, {count} {name if count > 1 else name[:-1]}"
        return self.trainer

    @property
    def key(self) -> tuple[Any, ...]:
        return self.trainer, self.events, json.dumps(dict(self.config), sort_keys=True), self.threads


@dataclass(frozen=True)
class Pair:
    """`als` and implicit on one matrix with the same settings, by turns; medians over the rounds."""

    events: int
    rounds: int
    ours: Measured
    theirs: Measured

    @property
    def seconds_ratio(self) -> float:
        return self.ours.fit_s / self.theirs.fit_s

    @property
    def cpu_ratio(self) -> float:
        return self.ours.fit_cpu_s / self.theirs.fit_cpu_s

    @property
    def memory_ratio(self) -> float:
        return self.ours.peak_mib / self.theirs.peak_mib


def measure_scale(
    names: Sequence[str],
    events: Sequence[int],
    *,
    configs: Mapping[str, Mapping[str, Any]],
    rounds: int = 0,
    seed: int = 42,
    threads: int = 1,
    limits: Limits = processes.NO_LIMITS,
    known: Sequence[Measured] = (),
    known_pairs: Sequence[Pair] = (),
    watch: Watch,
    tell: Callable[[Sequence[Measured], Sequence[Pair]], None] = lambda measured, pairs: None,
    run: Callable[..., Spent | Refusal] = processes.apart,
) -> tuple[list[Measured], list[Pair]]:
    """Every trainer at every size, sizes rising; with `rounds`, `als` against implicit too, as often.

    What `known` holds is not measured again, and comes back with what is new. A trainer that failed or went over a
    limit is not tried at a larger size. `tell` hears what there is after each fit. Raises InvalidConfig, UnknownName.
    """
    settings = {name: _settings(name, configs.get(name, {})) for name in names}
    have = {one.key: one for one in known if not one.refusal}
    sizes = sorted(set(events))
    asked = {(name, size) for name in names for size in sizes}
    measured = [one for one in known if (one.trainer, one.events) not in asked]
    pairs = [pair for pair in known_pairs if not rounds or pair.events not in sizes]
    over: dict[str, int] = {}  # from a trainer to the size that was too much
    for size in sizes:
        users, items = synthetic.sizes(size)
        with tempfile.TemporaryDirectory(prefix="recsite-scale-") as folder:
            made = False
            for name in names:
                row = Measured(name, size, users, items, settings[name], threads)
                if row.key in have:
                    row = have[row.key]
                elif name in over:
                    row = replace(row, refusal=f"not tried, for it failed at {over[name]:,} events")
                else:
                    made = made or _write(synthetic.interactions(size, seed), Path(folder))
                    row = _fitted(row, Path(folder), seed, run, watch, limits)
                if row.refusal:
                    over.setdefault(name, size)
                measured.append(row)
                tell(measured, pairs)
            if rounds and "als" in names and "als" not in over:
                made = made or _write(synthetic.interactions(size, seed), Path(folder))
                if pair := _paired(measured, size, rounds, Path(folder), seed, run, watch, limits):
                    pairs.append(pair)
                tell(measured, pairs)
    return measured, pairs


def fit_one(
    watch: Watch, folder: Path, name: str, config: Mapping[str, Any], seed: int, threads: int, built: bool
) -> Spent:
    """Fit what `folder` holds, here, and say what it took; with `built`, the matrix is made before the clock runs."""
    fit = _implicit if name == IMPLICIT else _ours
    work = fit(name, config)
    work(synthetic.interactions(WARM_UP_EVENTS), Options(seed, threads))()
    data = _read(folder)
    if built:
        data.matrix  # noqa: B018  made and kept
    go = work(data, Options(seed, threads, progress=watch(f"{name}, {len(data):,} events")))
    start = memory.resident_bytes()
    memory.forget_peak()
    clock = Clock()
    go()
    fit_s, fit_cpu_s = clock.read()
    peak = memory.peak_bytes()
    return Spent(fit_s, fit_cpu_s, start / MIB, peak / MIB, data.matrix.nnz)


def exponent(events: Sequence[int], values: Sequence[float]) -> float | None:
    """b of the least squares fit of values = a events ** b over the largest sizes; None where there are too few."""
    kept = sorted(zip(events, values, strict=True))[-FITTED_SIZES:]
    if len(kept) < 2:
        return None
    x, y = np.log(np.array(kept, dtype=np.float64)).T
    return float(np.polyfit(x, y, 1)[0])


def scale_table(measured: Sequence[Measured], pairs: Sequence[Pair]) -> list[str]:
    header = ["trainer", "events", "users", "items", "pairs", "fit s", "CPU s", "peak MiB", "over its start"]
    rows = []
    labels = list(dict.fromkeys(one.label for one in measured))
    for one in sorted(measured, key=lambda one: (labels.index(one.label), one.events)):
        if one.refusal:
            rows.append([one.label, f"{one.events:,} events: {one.refusal}"])
            continue
        counts = [f"{count:,}" for count in (one.events, one.users, one.items, one.pairs)]
        seconds = [f"{one.fit_s:.2f}", f"{one.fit_cpu_s:.2f}"]
        rows.append([one.label, *counts, *seconds, f"{one.peak_mib:.0f}", f"{one.peak_mib - one.start_mib:.0f}"])
    lines = layout(header, rows)
    for pair in pairs:
        lines.append(
            f"als beside {IMPLICIT}, {pair.events:,} events, {pair.rounds} rounds by turns, medians: "
            f"{pair.ours.fit_s:.2f} s and {pair.theirs.fit_s:.2f} s ({pair.seconds_ratio:.3f} times; CPU "
            f"{pair.ours.fit_cpu_s:.2f} s and {pair.theirs.fit_cpu_s:.2f} s, {pair.cpu_ratio:.3f} times), "
            f"{pair.ours.peak_mib:.0f} MiB and {pair.theirs.peak_mib:.0f} MiB ({pair.memory_ratio:.3f} times)."
        )
    return lines


def scale_json(measured: Sequence[Measured], pairs: Sequence[Pair]) -> dict[str, Any]:
    labels = dict.fromkeys(one.label for one in measured)
    return {
        "data": (synthetic.__doc__ or "").split("\n\n")[1],
        "versions": versions(),
        "measured": [asdict(one) for one in measured],
        "exponents": {label: _exponents([one for one in measured if one.label == label]) for label in labels},
        "als_beside_implicit": [
            asdict(pair)
            | {"seconds_ratio": pair.seconds_ratio, "cpu_ratio": pair.cpu_ratio, "memory_ratio": pair.memory_ratio}
            for pair in pairs
        ],
    }


def from_json(found: Mapping[str, Any]) -> tuple[list[Measured], list[Pair]]:
    """What `scale_json` wrote."""
    pairs = [
        Pair(one["events"], one["rounds"], Measured(**one["ours"]), Measured(**one["theirs"]))
        for one in found["als_beside_implicit"]
    ]
    return [Measured(**one) for one in found["measured"]], pairs


def _exponents(measured: Sequence[Measured]) -> dict[str, float | None]:
    own = [one for one in measured if not one.refusal]
    events = [one.events for one in own]
    return {key: exponent(events, [getattr(one, key) for one in own]) for key in ("fit_s", "fit_cpu_s", "peak_mib")}


def _settings(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer's whole config, with one pass over the data where it makes several and nobody says how many."""
    known = {field.name for field in fields(trainer(name).Config)}
    once = {key: 1 for key in PASSES if key in known}
    return asdict(make_config(name, {**once, **values}))


def _fitted(
    row: Measured,
    folder: Path,
    seed: int,
    run: Callable[..., Spent | Refusal],
    watch: Watch,
    limits: Limits,
    built: bool = False,
) -> Measured:
    found = run(fit_one, folder, row.trainer, row.config, seed, row.threads, built, watch=watch, limits=limits)
    if isinstance(found, Refusal):
        return replace(row, refusal=found.reason)
    return replace(row, **vars(found))


def _paired(
    measured: Sequence[Measured],
    size: int,
    rounds: int,
    folder: Path,
    seed: int,
    run: Callable[..., Spent | Refusal],
    watch: Watch,
    limits: Limits,
) -> Pair | None:
    als = next(one for one in measured if one.trainer == "als" and one.events == size)
    rows = (als, replace(als, trainer=IMPLICIT))
    found: dict[str, list[Measured]] = {"als": [], IMPLICIT: []}
    for number in range(rounds):
        for row in rows if number % 2 == 0 else rows[::-1]:
            one = _fitted(row, folder, seed, run, watch, limits, built=True)
            if one.refusal:
                return None
            found[row.trainer].append(one)
    ours, theirs = (
        replace(own[0], **{key: median(getattr(one, key) for one in own) for key in ("fit_s", "fit_cpu_s", "peak_mib")})
        for own in (found["als"], found[IMPLICIT])
    )
    return Pair(size, rounds, ours, theirs)


Work = Callable[[Interactions, Options], Callable[[], object]]  # prepares, and returns what is to be timed


def _ours(name: str, config: Mapping[str, Any]) -> Work:
    made = make_config(name, config)
    return lambda data, options: lambda: trainer(name).fit(data, made, options)


def _implicit(name: str, config: Mapping[str, Any]) -> Work:
    """implicit as its own users call it: a matrix of confidences goes in. Our lambda, and BLAS kept to one thread, as
    it asks."""
    from math import sqrt

    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    def work(data: Interactions, options: Options) -> Callable[[], object]:
        matrix = data.matrix
        users, items = int((np.diff(matrix.indptr) > 0).sum()), len(np.unique(matrix.indices))
        matrix.data = np.sign(matrix.data) * (1 + config["alpha"] * np.abs(matrix.data))
        model = AlternatingLeastSquares(
            factors=config["factors"],
            regularization=config["regularization"] * matrix.nnz / sqrt(users * items),
            iterations=config["iterations"],
            num_threads=options.threads,
            random_state=options.seed,
        )

        def go() -> None:
            with threadpool_limits(limits=1, user_api="blas"):
                model.fit(matrix, show_progress=False)

        return go

    return work


def _write(data: Interactions, folder: Path) -> bool:
    for name in ("user_rows", "item_rows", "weights", "times"):
        np.save(folder / f"{name}.npy", getattr(data, name), allow_pickle=False)
    for name in ("users", "items"):
        np.save(folder / f"{name}.npy", getattr(data, name).encoded, allow_pickle=False)
    return True


def _read(folder: Path) -> Interactions:
    columns = {
        name: np.load(folder / f"{name}.npy", allow_pickle=False)
        for name in ("user_rows", "item_rows", "weights", "times")
    }
    users, items = (Ids(np.load(folder / f"{name}.npy", allow_pickle=False)) for name in ("users", "items"))
    return Interactions(users, items, **columns)
