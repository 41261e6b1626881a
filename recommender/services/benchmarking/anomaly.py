"""How well detectors tell anomalies from the rest, on any file with X (rows of numbers) and y (1 for an anomaly).

    unsupervised   learn from all rows, without their labels; score the same rows
    normal-only    learn from half of the usual rows, drawn by seed; score the other half and all anomalies

The second is the protocol of ADBench (Han et al. 2022) and DTE (Livernoche et al. 2024). Other people's detectors get
the same rows and seeds; of large sets everyone gets the same sample. AUROC and average precision are means over seeds.
"""

import importlib
import re
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import CLEAN, detector, make_config
from recommender.engine.errors import InvalidDataset, NoData
from recommender.engine.options import Options
from recommender.services.benchmarking import processes
from recommender.services.benchmarking.processes import NO_LIMITS, Limits, Refusal, Watch

MODES = ("unsupervised", "normal-only")
MOST_ROWS = 10_000  # of a set, as in ADBench; larger ones are sampled
FEWEST_ROWS, FEWEST_OF_A_KIND = 10, 2
PRELOAD = ("faiss", "sklearn.ensemble", "sklearn.metrics", "torch", "recommender.services.benchmarking.anomaly")
APART = partial(processes.apart, preload=PRELOAD)


@dataclass(frozen=True)
class Peer:
    """A detector of PyOD (Zhao et al. 2019) with its defaults."""

    dotted: str
    minmax: bool = False
    """Whether rows are first scaled to 0..1 by what is learned from, as in ADBench: it compares distances."""
    seeded: bool = False


PEERS: Mapping[str, Peer] = {
    "PyOD IForest": Peer("pyod.models.iforest.IForest", seeded=True),
    "PyOD KNN": Peer("pyod.models.knn.KNN", minmax=True),
    "PyOD ECOD": Peer("pyod.models.ecod.ECOD"),
    "PyOD HBOS": Peer("pyod.models.hbos.HBOS"),
    "PyOD PCA": Peer("pyod.models.pca.PCA", seeded=True),
    "PyOD LOF": Peer("pyod.models.lof.LOF", minmax=True),
}


@dataclass(frozen=True)
class Labelled:
    """A data set's name and file, looked at and found good."""

    name: str
    path: Path
    rows: int
    features: int
    anomalies: int


@dataclass(frozen=True)
class Setup:
    mode: str = MODES[0]
    seeds: tuple[int, ...] = (0, 1, 2)
    most_rows: int = MOST_ROWS
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by detector, beside the defaults, and in normal-only beside CLEAN."""
    threads: int = 1
    limits: Limits = NO_LIMITS
    """Of one detector on one set, all seeds together."""

    def settings(self, name: str) -> dict[str, Any]:
        return {**(CLEAN.get(name, {}) if self.mode == "normal-only" else {}), **self.configs.get(name, {})}


@dataclass(frozen=True)
class Measured:
    auroc: tuple[float, ...]
    """By seed."""
    ap: tuple[float, ...]
    fit_s: float
    score_s: float
    """Means over seeds."""


@dataclass(frozen=True)
class Report:
    setup: Setup
    sets: Sequence[Labelled]
    unreadable: Mapping[str, str]
    names: Sequence[str]
    """Detectors and peers, in the order of the table."""
    found: Mapping[str, Mapping[str, Measured | Refusal]]
    """By set, by name."""

    @property
    def complete(self) -> list[str]:
        """Names of sets that every detector has a figure for: means are over these, so that they can be compared."""
        rows = ((one.name, self.found[one.name]) for one in self.sets)
        return [name for name, row in rows if all(isinstance(row[who], Measured) for who in self.names)]

    def value(self, name: str, who: str, measure: str = "auroc") -> float:
        cell = self.found[name][who]
        return float(np.mean(getattr(cell, measure))) if isinstance(cell, Measured) else float("nan")

    def mean(self, who: str, measure: str = "auroc") -> float:
        values = [self.value(name, who, measure) for name in self.complete]
        return float(np.mean(values)) if values else float("nan")


def collect(path: Path) -> tuple[list[Labelled], dict[str, str]]:
    """The data sets of a file or a folder, and what is wrong with the files that are none. Raises InvalidDataset where
    no set is left."""
    if path.is_dir():
        paths = sorted(path.glob("*.npz"), key=lambda one: _natural(one.name))
        if not paths:
            raise InvalidDataset(f"{path} holds no .npz file.")
    elif path.is_file():
        paths = [path]
    else:
        raise InvalidDataset(f"{path} is not there.")
    sets, unreadable = [], {}
    for one in paths:
        try:
            rows, odd = read(one)
        except InvalidDataset as error:
            unreadable[one.name] = error.detail
        else:
            sets.append(Labelled(one.stem, one, len(rows), rows.shape[1], int(odd.sum())))
    if not sets:
        raise InvalidDataset(" ".join(unreadable.values()))
    return sets, unreadable


def read(path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """X float32 (R, F) and y (R,). Raises InvalidDataset, naming the file and what is wrong with it."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if missing := [name for name in ("X", "y") if name not in getattr(file, "files", ())]:
                raise InvalidDataset(f"{path} has no {' and no '.join(missing)}.")
            x, y = file["X"], file["y"]
            if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
                raise InvalidDataset(f"{path}: its X and y are no arrays.")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, MemoryError) as error:
        why = "it holds Python objects" if "allow_pickle" in str(error) else str(error) or type(error).__name__
        raise InvalidDataset(f"{path} cannot be read: {why}.") from error
    except (TypeError, AttributeError, NotImplementedError) as error:  # an .npy file by another name; odd compression
        raise InvalidDataset(f"{path} is no .npz file with X and y.") from error
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        raise InvalidDataset(f"{path}: X and y must be numbers, not {x.dtype} and {y.dtype}.")
    if x.ndim != 2 or not x.shape[1] or y.squeeze().shape != x.shape[:1]:
        raise InvalidDataset(f"{path}: X must be (rows, features) and y (rows,), not {x.shape} and {y.shape}.")
    if len(x) < FEWEST_ROWS:
        raise InvalidDataset(f"{path} has {len(x)} rows; {FEWEST_ROWS} are the fewest to measure on.")
    y = y.squeeze()
    if not np.isin(y, (0, 1)).all():
        raise InvalidDataset(f"{path}: y must be 1 for an anomaly and 0 for the rest.")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        raise InvalidDataset(f"{path}: X holds NaN, infinity, or numbers beyond 32 bits.")
    odd = y == 1
    if min(odd.sum(), (~odd).sum()) < FEWEST_OF_A_KIND:
        raise InvalidDataset(f"{path}: y needs {FEWEST_OF_A_KIND} anomalies and as many others at least.")
    return x, odd


def split(
    rows: NDArray[np.float32], odd: NDArray[np.bool_], mode: str, most: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Rows to learn from, rows to score, and which of these are anomalies. Sampled by kind, so that both stay."""
    random = np.random.default_rng(seed)
    usual, others = random.permutation(np.flatnonzero(~odd)), random.permutation(np.flatnonzero(odd))
    if len(rows) > most:
        kept = max(FEWEST_OF_A_KIND, round(most * len(others) / len(rows)))
        usual, others = usual[: max(FEWEST_OF_A_KIND, most - kept)], others[:kept]
    if mode == "unsupervised":
        every = np.sort(np.concatenate((usual, others)))
        return rows[every], rows[every], odd[every]
    half = len(usual) // 2
    asked = np.sort(np.concatenate((usual[half:], others)))
    return rows[np.sort(usual[:half])], rows[asked], odd[asked]


def measure(
    sets: Sequence[Labelled],
    unreadable: Mapping[str, str],
    detectors: Sequence[str],
    peers: Sequence[str],
    setup: Setup,
    watch: Watch,
    run: Callable[..., Any] = APART,
) -> Report:
    """Each detector and peer on each set, in a process of its own.

    Raises InvalidConfig, UnknownName.
    """
    for name in detectors:
        make_config(name, setup.settings(name))
    names = [*detectors, *peers]
    found: dict[str, dict[str, Measured | Refusal]] = {one.name: {} for one in sets}
    progress = watch("detectors")
    for number, one in enumerate(sets):
        for place, who in enumerate(names):
            progress((number + place / len(names)) / len(sets), f"{one.name}, {who}")
            found[one.name][who] = run(measure_one, one.path, who, setup, watch=_silent, limits=setup.limits)
    progress(1.0, "done")
    return Report(setup, sets, unreadable, names, found)


def measure_one(watch: Watch, path: Path, who: str, setup: Setup) -> Measured:
    """One detector or peer on one file, seed after seed."""
    from sklearn.metrics import average_precision_score, roc_auc_score
    from threadpoolctl import threadpool_limits

    rows, odd = read(path)
    aurocs, precisions, seconds = [], [], []
    for seed in setup.seeds:
        known, asked, truth = split(rows, odd, setup.mode, setup.most_rows, seed)
        if not len(known):
            raise NoData(f"Half of {path.name}'s usual rows are none.")
        work = _peer if who in PEERS else _ours
        with threadpool_limits(limits=setup.threads):
            scores, fit_s, score_s = work(who, known, asked, setup, seed, watch)
        aurocs.append(float(roc_auc_score(truth, scores)))
        precisions.append(float(average_precision_score(truth, scores)))
        seconds.append((fit_s, score_s))
    fit_s, score_s = np.mean(seconds, axis=0).tolist()
    return Measured(tuple(aurocs), tuple(precisions), fit_s, score_s)


Scored = tuple[NDArray[np.float64], float, float]


def _ours(
    who: str, known: NDArray[np.float32], asked: NDArray[np.float32], setup: Setup, seed: int, watch: Watch
) -> Scored:
    kind, config = detector(who), make_config(who, setup.settings(who))
    started = time.perf_counter()
    arrays = kind.fit(known, config, Options(seed=seed, threads=setup.threads, device="cpu", progress=watch(who)))
    fitted = time.perf_counter()
    scores = kind.open(arrays, config).scores(asked)
    return scores, fitted - started, time.perf_counter() - fitted


def _peer(
    who: str, known: NDArray[np.float32], asked: NDArray[np.float32], setup: Setup, seed: int, watch: Watch
) -> Scored:
    peer = PEERS[who]
    module, _, name = peer.dotted.rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another project's, about another project's
        try:
            kind = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise NoData("Not installed: pip install -r requirements-benchmarks.txt.") from error
        started = time.perf_counter()
        learned, wanted = known.astype(np.float64), asked.astype(np.float64)
        if peer.minmax:
            low, width = learned.min(axis=0), np.ptp(learned, axis=0)
            learned, wanted = ((rows - low) / np.where(width > 0, width, 1.0) for rows in (learned, wanted))
        made = kind(**({"random_state": seed} if peer.seeded else {}))
        made.fit(learned)
        fitted = time.perf_counter()
        # What PyOD gives for the rows it learned from: its neighbours leave each row itself out there.
        scores = made.decision_scores_ if setup.mode == "unsupervised" else made.decision_function(wanted)
    return np.nan_to_num(np.asarray(scores, dtype=np.float64)), fitted - started, time.perf_counter() - fitted


def _natural(name: str) -> tuple[int, str]:
    """Sets that are numbered in the order of their numbers."""
    number = re.match(r"\d+", name)
    return (int(number.group()) if number else -1, name)


def _silent(stage: str) -> Callable[[float, str], None]:
    return lambda share, message: None
