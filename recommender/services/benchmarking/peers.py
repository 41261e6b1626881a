"""Other people's recommenders beside ours: the same split, the same protocol, fair settings, each in its own process.

implicit is installed with the site. RecTools wants an older pandas and NumPy, so it lives in an environment of its own,
which `make peers` builds. Both are spoken to through files (tests/benchmarks/peers.py).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.datasets import Dataset
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.evaluation.protocol import Report, evaluate
from recommender.engine.trainers import make_config
from recommender.services.benchmarking.accuracy import Result, Row, Setup, asked
from recommender.services.benchmarking.processes import Refusal, Watch

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "benchmarks" / "peers.py"
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
MISSING = "Not installed: `make peers` builds .venv-peers, the environment that it needs."


@dataclass(frozen=True)
class Peer:
    beside: str
    """The trainer of ours that does the same."""
    settings: Callable[[Mapping[str, Any], Interactions], Mapping[str, Any]]
    """The peer's settings for those of ours and the data to learn from."""
    apart: bool = False
    """Whether it needs the environment of its own."""


def _als(ours: Mapping[str, Any], data: Interactions) -> Mapping[str, Any]:
    matrix = data.matrix
    users, items = int((np.diff(matrix.indptr) > 0).sum()), len(np.unique(matrix.indices))
    given = {name: ours[name] for name in ("factors", "iterations", "alpha")}
    return {**given, "regularization": ours["regularization"] * matrix.nnz / sqrt(users * items)}


def _item_knn(ours: Mapping[str, Any], data: Interactions) -> Mapping[str, Any]:
    return {"weighting": ours["weighting"], "K": ours["neighbours"]}


def _ease(ours: Mapping[str, Any], data: Interactions) -> Mapping[str, Any]:
    """Our lambda is in parts of the mean diagonal entry of X'X, over items that anyone took: theirs is that."""
    matrix = data.matrix
    return {"regularization": ours["regularization"] * matrix.nnz / len(np.unique(matrix.indices))}


def _none(ours: Mapping[str, Any], data: Interactions) -> Mapping[str, Any]:
    return {}


PEERS: Mapping[str, Peer] = {
    "rectools popular": Peer("popularity", _none, apart=True),
    "implicit ALS": Peer("als", _als),
    "implicit item-kNN": Peer("item_knn", _item_knn),
    "rectools EASE": Peer("ease", _ease, apart=True),
}


def measure_peers(dataset: Dataset, trainers: Sequence[str], setup: Setup, watch: Watch) -> list[Row]:
    """A row for each peer of the trainers, with their settings, or why there is none."""
    rows = []
    for name, peer in PEERS.items():
        if peer.beside in trainers:
            row_name = f"peer: {name}"
            progress = watch(row_name)
            rows.append(Row(row_name, _measured(dataset, name, peer, setup), peer=True))
            progress(1.0, "done")
    return rows


def _measured(dataset: Dataset, name: str, peer: Peer, setup: Setup) -> Result | Refusal:
    learned_from = dataset.history if setup.refit else dataset.train
    ours = vars(make_config(peer.beside, setup.configs.get(peer.beside, {})))
    config = dict(peer.settings(ours, learned_from))
    users = np.flatnonzero(np.diff(asked(dataset).matrix.indptr)).astype(np.int32)
    arrays = {"users": users}
    matrices = {"train": learned_from, "seen": dataset.history}
    deepest = min(max(setup.ks), dataset.history.shape[1])
    task = {"task": "recommend", "method": name, "config": config, "k": deepest}
    task |= {"threads": setup.threads, "seed": setup.seed}
    answer = ask(task, arrays, matrices, PEER_PYTHON if peer.apart else Path(sys.executable), setup)
    if isinstance(answer, Refusal):
        return answer
    lists = answer["lists"]
    spent = {key: answer[key] for key in ("fit_s", "fit_cpu_s", "fit_mib", "score_s", "score_cpu_s", "score_mib")}
    report = judge(lists, users, dataset, setup)
    return Result(f"peer: {name}", config | {"versions": answer["versions"]}, report, **spent, peer=True, lists=lists)


def ask(
    task: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    matrices: Mapping[str, Interactions],
    python: Path,
    setup: Setup,
) -> dict[str, Any] | Refusal:
    """What tests/benchmarks/peers.py answers to the task, with `lists` where it made some."""
    from scipy.sparse import save_npz

    if not (python.exists() and SCRIPT.exists()):
        return Refusal(MISSING)
    threads = {name: str(setup.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    with tempfile.TemporaryDirectory(prefix="recsite-peers-") as name:
        folder = Path(name)
        for key, array in arrays.items():
            np.save(folder / f"{key}.npy", array, allow_pickle=False)
        for key, data in matrices.items():
            save_npz(folder / f"{key}.npz", data.matrix, compressed=False)
        (folder / "task.json").write_text(json.dumps(dict(task)))
        try:
            done = subprocess.run(
                [python, SCRIPT, folder],
                env={**os.environ, **threads},
                capture_output=True,
                text=True,
                timeout=setup.limits.seconds,
            )
        except subprocess.TimeoutExpired:
            return Refusal(f"Over the limit of {setup.limits.seconds:g} s.")
        if done.returncode:
            return Refusal(f"Failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
        if (folder / "lists.npy").exists():
            answer["lists"] = np.load(folder / "lists.npy", allow_pickle=False)
    return answer


@dataclass
class Listed:
    """A query that answers with lists made elsewhere. A history's times are the row of the user whose it is."""

    lists: NDArray[np.int32]
    place: NDArray[np.int64]
    """(U,): the user's line in `lists`, or -1."""
    items: int
    item_vectors: NDArray[np.float32] | None = None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        raise NotImplementedError("Lists have no vectors.")

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        """K down to 1 for what is listed, -inf for the rest, which is not to be shown."""
        scores = np.full((len(histories), self.items), -np.inf, dtype=np.float32)
        told = np.flatnonzero(np.diff(histories.indptr))
        lists = self.lists[self.place[histories.times[histories.indptr[told]]]]
        line, rank = np.nonzero(lists >= 0)
        scores[told[line], lists[line, rank]] = lists.shape[1] - rank
        return scores

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        raise NotImplementedError("Lists do not say why.")


def judge(lists: NDArray[np.int32], users: NDArray[np.int32], dataset: Dataset, setup: Setup) -> Report:
    """The report that a trainer would get for these lists int32 (V, K) of these users (V,)."""
    place = np.full(dataset.history.shape[0], -1)
    place[users] = np.arange(len(users))
    query = Listed(lists, place, dataset.history.shape[1])
    named = replace(dataset.history, times=dataset.history.user_rows.astype(np.int64))
    report = evaluate(query, named, dataset.test, setup.ks, seed=setup.seed)
    return replace(report, not_finite=0)  # -inf is how a list says that it ends
