"""Other people's recommenders and metrics, run on files, so that they can live in an environment of their own.

    PYTHON tests/benchmarks/peers.py FOLDER

FOLDER holds task.json, {"task": "recommend" or "metrics", ...}, and what the task reads; the answer is written beside
it. Nothing here knows recsite.

recommend: train.npz and seen.npz (users x items, weights), users.npy (V,); the task names a `method` of METHODS with
    its `config`, `k`, `threads` and `seed`. Writes lists.npy, int32 (V, K), best first, -1 where a list is shorter,
    and answer.json: seconds by the wall and of the CPU, peak memory, versions.
metrics: test.npz (users x items), users.npy, lists.npy and `ks`. Writes answer.json: RecTools' metrics of these users.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.sparse import load_npz
from threadpoolctl import threadpool_limits


class Implicit:
    """implicit, called directly. It folds a user's history in, as recsite does, where its models can."""

    packages = ("implicit",)

    def __init__(self, method, config, threads, seed):
        from implicit.cpu.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

        self.alpha = config.pop("alpha", None)
        kinds = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
        if method == "implicit ALS":
            self.model = AlternatingLeastSquares(num_threads=threads, random_state=seed, **config)
        else:
            self.model = kinds[config.pop("weighting")](num_threads=threads, **config)

    def prepared(self, matrix):
        if self.alpha is None:
            return matrix
        weighed = matrix.copy()
        weighed.data = 1 + self.alpha * weighed.data
        return weighed

    def fit(self, train):
        with threadpool_limits(limits=1, user_api="blas"):
            self.model.fit(train, show_progress=False)

    def recommend(self, seen, users, k):
        lists, _ = self.model.recommend(users, seen[users], N=k, recalculate_user=True)
        return lists


class RecTools:
    packages = ("rectools", "pandas", "numpy")

    def __init__(self, method, config, threads, seed):
        from rectools.models import EASEModel, PopularModel

        self.model = (
            EASEModel(num_threads=threads, recommend_n_threads=threads, **config)
            if method == "rectools EASE"
            else PopularModel(**config)
        )

    def prepared(self, matrix):
        import pandas as pd
        from rectools.dataset import Dataset, IdMap, Interactions

        users, items = matrix.nonzero()
        table = pd.DataFrame({"user_id": users, "item_id": items, "weight": 1.0, "datetime": "2000-01-01"})
        ids = [IdMap.from_values(np.arange(size)) for size in matrix.shape]
        return Dataset(*ids, Interactions.from_raw(table, *ids))

    def fit(self, train):
        self.model.fit(train)

    def recommend(self, seen, users, k):
        table = self.model.recommend(users=users, dataset=seen, k=k, filter_viewed=True)
        lists = np.full((len(users), k), -1, dtype=np.int32)
        place = np.full(users.max() + 1, -1)
        place[users] = np.arange(len(users))
        lists[place[table["user_id"].to_numpy()], table["rank"].to_numpy() - 1] = table["item_id"].to_numpy()
        return lists


METHODS = {
    "implicit ALS": Implicit,
    "implicit item-kNN": Implicit,
    "rectools EASE": RecTools,
    "rectools popular": RecTools,
}


def recommend(folder, task):
    train, seen = load_npz(folder / "train.npz").tocsr(), load_npz(folder / "seen.npz").tocsr()
    users = np.load(folder / "users.npy", allow_pickle=False)
    kind = METHODS[task["method"]]
    peer = kind(task["method"], dict(task["config"]), task["threads"], task["seed"])
    train, seen = peer.prepared(train), peer.prepared(seen)  # as the peer keeps its data; not timed
    _forget_peak()
    began = time.perf_counter(), time.process_time()
    peer.fit(train)
    fitted = time.perf_counter(), time.process_time()
    fit_mib = _peak_mib()
    _forget_peak()
    asking = time.perf_counter(), time.process_time()
    lists = peer.recommend(seen, users, task["k"])
    asked = time.perf_counter(), time.process_time()
    score_mib = _peak_mib()
    np.save(folder / "lists.npy", np.asarray(lists, dtype=np.int32), allow_pickle=False)
    return {
        "fit_s": fitted[0] - began[0],
        "fit_cpu_s": fitted[1] - began[1],
        "score_s": asked[0] - asking[0],
        "score_cpu_s": asked[1] - asking[1],
        "fit_mib": fit_mib,
        "score_mib": score_mib,
        "versions": {name: version(name) for name in kind.packages if _installed(name)},
    }


def metrics(folder, task):
    """RecTools' figures, with the options under which they mean what recsite's do; its MAP divides by R, ours by
    min(R, K), which no option gives."""
    import pandas as pd
    from rectools.metrics import MAP, MRR, NDCG, HitRate, Recall, calc_metrics

    users = np.load(folder / "users.npy", allow_pickle=False)
    lists = np.load(folder / "lists.npy", allow_pickle=False)
    place, rank = np.nonzero(lists >= 0)
    shown = pd.DataFrame({"user_id": users[place], "item_id": lists[place, rank], "rank": rank + 1})
    row, item = load_npz(folder / "test.npz").tocsr()[users].nonzero()
    wanted = pd.DataFrame({"user_id": users[row], "item_id": item})
    asked = {
        f"{name}@{k}": metric
        for k in task["ks"]
        for name, metric in (
            ("ndcg", NDCG(k=k, divide_by_achievable=True)),
            ("recall", Recall(k=k)),
            ("hit_rate", HitRate(k=k)),
            ("mrr", MRR(k=k)),
            ("map_over_relevant", MAP(k=k)),
        )
    }
    found = calc_metrics(asked, reco=shown, interactions=wanted)
    return {
        "metrics": {name: float(value) for name, value in found.items()},
        "versions": {"rectools": version("rectools")},
    }


def _forget_peak():
    with suppress(OSError):  # not Linux, or not permitted: the peak is then that of all
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib():
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _installed(name):
    try:
        version(name)
    except Exception:
        return False
    return True


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    answer = {"recommend": recommend, "metrics": metrics}[task["task"]](folder, task)
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
