"""How well items that nobody has taken yet are found: a share of the items is kept out of all that is learned from.

Of each user's test items those kept out are asked for, ranked among each other only, since in a list of all items
whatever is known of some would hide them. Who is asked has a history of other items.

What is known of an item is its words (features of the data set, or else the words of its text) and, with an encoder,
the vector of its text. Beside each trainer stands the map from that to what the trainer scores (engine/content_map),
and what needs no learning: chance, the mean popularity of the items that share an item's words (by cosine), and the
cosine of what is known of an item and the mean of that over the history.

Settings are chosen `on="validation"`: other items are kept out of what the test leaves, and asked for by the validation
part. Nothing of the test or of its items is looked at then.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine import content_map
from recommender.engine.content_map import ContentMap
from recommender.engine.data.datasets import Dataset
from recommender.engine.data.features import joined, multi_hot
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.encoders import encoder
from recommender.engine.encoders import make_config as make_encoder_config
from recommender.engine.errors import InvalidDataset
from recommender.engine.evaluation.bootstrap import Interval, intervals
from recommender.engine.evaluation.protocol import BATCH_BYTES
from recommender.engine.index.exact import top_k
from recommender.engine.metrics import ndcg, recall
from recommender.engine.trainers import Options, make_config, trainer
from recommender.services.benchmarking import processes
from recommender.services.benchmarking.accuracy import asked, verdict
from recommender.services.benchmarking.processes import Clock, Refusal, Watch
from recommender.services.benchmarking.tables import figure, layout

Scores = Callable[[NDArray[np.int32]], NDArray[np.float32]]
"""From user rows (B,) to what the items kept out score for them, (B, C)."""
METRICS = {"recall": recall, "ndcg": ndcg}
DECIDING = "ndcg"
WORD = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class Cold:
    """A data set without the items kept out, and who is asked for which of these."""

    train: Interactions
    held: Interactions | None
    """The set's validation part, for trainers that stop early."""
    history: Interactions
    wanted: Interactions
    item_rows: NDArray[np.int32]
    """(C,): those kept out."""
    user_rows: NDArray[np.int32]
    """(V,): who is asked, ascending."""
    words: NDArray[np.float32]
    """(N, F'): the part of the features that words make."""
    asked: Interactions | None = None
    """All that those with a history are asked for, of known items too; see cold_pages."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        share: float,
        seed: int,
        on: str = "test",
        encoded: NDArray[np.float32] | None = None,
    ) -> "Cold":
        """`share`, from 0 to 1, of the items that anyone took. `encoded` (N, D): the vectors of items' texts.

        Raises InvalidDataset where that leaves nobody to ask, or where nothing is known of items.
        """
        words = dataset.train.item_features
        if words is None and dataset.texts is not None:
            words = multi_hot([WORD.findall(text.lower()) for text in dataset.texts])
        if words is None:
            raise InvalidDataset(f"{dataset.name} describes no items, by which new ones could be found.")
        dataset = _with_features(dataset, joined([words, encoded]))
        if on == "validation":
            tested = cls.of(dataset, share, seed)
            left = replace(dataset, train=tested.train, validation=tested.held)
            learned_from, judged_by = left.tuning(seed)
            dataset, seed = replace(left, train=learned_from, validation=None, test=judged_by), seed + 1
        taken = np.union1d(dataset.history.item_rows, dataset.test.item_rows)
        random = np.random.default_rng(seed)
        item_rows = random.permutation(taken)[: round(share * len(taken))].astype(np.int32)
        kept = [
            None if part is None else part.where(~np.isin(part.item_rows, item_rows))
            for part in (dataset.train, dataset.validation, dataset.history)
        ]
        train, held, history = kept
        wanted = asked(dataset)
        assert train is not None and history is not None
        everything = wanted.where((np.diff(history.indptr) > 0)[wanted.user_rows])
        wanted = everything.where(np.isin(everything.item_rows, item_rows))
        if not (len(train) and len(wanted)):
            raise InvalidDataset(f"Keeping {len(item_rows)} of {len(taken)} items out leaves nothing to ask for.")
        return cls(train, held, history, wanted, item_rows, np.unique(wanted.user_rows), words, everything)


@dataclass(frozen=True)
class Found:
    name: str
    per_user: Mapping[str, NDArray[np.float64]]
    """"recall" and "ndcg" -> (V,)."""
    config: Mapping[str, Any] | None = None
    """None for what is not learned."""
    fit_s: float = 0.0
    fit_cpu_s: float = 0.0

    def interval(self, metric: str) -> Interval:
        return intervals(self.per_user[metric][:, None])[0]

    def over(self, other: "Found") -> Interval:
        """By how much it is better in the deciding metric, over the same users."""
        return intervals((self.per_user[DECIDING] - other.per_user[DECIDING])[:, None])[0]


@dataclass(frozen=True)
class Setup:
    k: int = 20
    configs: Mapping[str, Mapping[str, Any]] | None = None
    seed: int = 42
    threads: int = 1
    limits: processes.Limits = processes.NO_LIMITS


def measure_cold(
    cold: Cold,
    trainers: Sequence[str],
    setup: Setup,
    watch: Watch,
    run: Callable[..., list[Found] | Refusal] = processes.apart,
) -> list[tuple[str, Found | Refusal]]:
    """What needs no learning, then each trainer or why it has no result. Raises InvalidConfig, UnknownName."""
    for name in trainers:
        make_config(name, (setup.configs or {}).get(name, {}))
    rows: list[tuple[str, Found | Refusal]] = [
        (name, Found(name, judged(cold, scores, setup.k))) for name, scores in baselines(cold, setup.seed).items()
    ]
    for name in trainers:
        found = run(measure_one, cold, name, setup, watch=watch, limits=setup.limits)
        rows += [(name, found)] if isinstance(found, Refusal) else [(one.name, one) for one in found]
    return rows


def measure_one(watch: Watch, cold: Cold, name: str, setup: Setup) -> list[Found]:
    """Fit and judge one trainer here, and the map to its scores, where one can be learned. Raises what fitting
    raises."""
    config, kind = make_config(name, (setup.configs or {}).get(name, {})), trainer(name)
    options = Options(setup.seed, setup.threads, held=cold.held, progress=watch(f"{name}: fitting"))
    clock = Clock()
    query = kind.query(kind.fit(cold.train, config, options), config)
    fit_s, fit_cpu_s = clock.read()

    def scores(users: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.asarray(query.scores(cold.history.histories(users))[:, cold.item_rows], dtype=np.float32)

    results = [Found(name, judged(cold, scores, setup.k), asdict(config), fit_s, fit_cpu_s)]
    contents = cold.train.item_features
    assert contents is not None
    clock = Clock()
    learned = content_map.learn(cold.train, query, contents, replace(options, progress=watch(f"{name}: mapping")))
    map_s, map_cpu_s = clock.read()
    if learned is not None and learned.arrays:
        placed = ContentMap.open(learned.arrays).place(query, contents[cold.item_rows])

        def mapped(users: NDArray[np.int32]) -> NDArray[np.float32]:
            return placed.scores(query, cold.history.histories(users))

        chosen = {key: learned.figures[key] for key in ("lambda", "beta", "scale", "offset")}
        results.append(Found(f"map to {name}", judged(cold, mapped, setup.k), chosen, map_s, map_cpu_s))
    return results


def encoded(texts: Sequence[str], name: str, options: Options) -> NDArray[np.float32]:
    """(N, D): the texts' vectors, by the text encoder of this name as it comes. Raises what fitting it raises."""
    config = make_encoder_config("text", name, {})
    kind = encoder("text", name)
    return kind.open(kind.fit(texts, config, options), config).encode(texts)


def _with_features(dataset: Dataset, features: NDArray[np.float32] | None) -> Dataset:
    def described(part: Interactions) -> Interactions:
        return replace(part, item_features=features)

    validation = None if dataset.validation is None else described(dataset.validation)
    return replace(dataset, train=described(dataset.train), validation=validation, test=described(dataset.test))


def judged(cold: Cold, scores: Scores, k: int) -> dict[str, NDArray[np.float64]]:
    """`METRICS` of every user asked, each (V,). Items that score alike come in an order that chance gives each user."""
    random = np.random.default_rng(0)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in METRICS}
    wanted = cold.wanted.matrix[:, cold.item_rows]
    size = max(1, BATCH_BYTES // (4 * cold.train.shape[1]))
    for start in range(0, len(cold.user_rows), size):
        users = cold.user_rows[start : start + size]
        truth = wanted[users].toarray() > 0
        order = np.argsort(random.random(truth.shape, dtype=np.float32), axis=1)
        best, _ = top_k(np.take_along_axis(scores(users), order, axis=1), k)
        hits = np.take_along_axis(np.take_along_axis(truth, order, axis=1), best, axis=1)
        for name, metric in METRICS.items():
            found[name].append(metric(hits, truth.sum(axis=1), k))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def baselines(cold: Cold, seed: int) -> dict[str, Scores]:
    """What can be said of an item that nobody took without learning, see the module."""
    assert cold.train.item_features is not None
    words, liked = unit(cold.words.astype(np.float32)), cold.history.matrix > 0
    takers = np.asarray(liked.sum(axis=0), dtype=np.float32).ravel()
    own = words[cold.item_rows]
    shared = own @ (words.T @ (takers > 0).astype(np.float32))
    popular = np.divide(own @ (words.T @ takers), shared, out=np.zeros_like(shared), where=shared > 0)
    features = unit(cold.train.item_features.astype(np.float32))
    own = features[cold.item_rows]
    profiles = unit(np.asarray(liked.astype(np.float32) @ features))
    random = np.random.default_rng(seed)
    return {
        "chance": lambda users: random.random((len(users), len(own)), dtype=np.float32),
        "popularity of alike": lambda users: np.broadcast_to(popular, (len(users), len(own))),
        "content of history": lambda users: profiles[users] @ own.T,
    }


def cold_table(dataset: Dataset, cold: Cold, rows: Sequence[tuple[str, Found | Refusal]], k: int) -> list[str]:
    """One method a row: each metric with its 95 % interval, the standing beside the best, seconds; then notes."""
    results = [found for _, found in rows if isinstance(found, Found)]
    top = max(results, key=lambda found: found.interval(DECIDING).value)
    header = ["method", *(f"{name}@{k} [95 %]" for name in METRICS), "beside the best", "fit s", "CPU s"]
    cells = []
    for name, found in rows:
        if isinstance(found, Refusal):
            cells.append([name, f"no result: {found.reason}"])
            continue
        standing = "best" if found is top else verdict(found.over(top))
        seconds = [f"{found.fit_s:.1f}", f"{found.fit_cpu_s:.1f}"] if found.config is not None else ["", ""]
        cells.append([name, *(figure(found.interval(metric)) for metric in METRICS), standing, *seconds])
    notes = [
        "",
        f"{dataset.name}: {dataset.protocol}. {len(cold.item_rows):,} items kept out of all that is learned from, and "
        f"asked for: {len(cold.wanted):,} pairs of {len(cold.user_rows):,} users. Only these items are ranked.",
    ]
    for found in results:
        if found.config:
            notes.append(f"{found.name}: {', '.join(f'{name}={value}' for name, value in found.config.items())}.")
    return layout(header, cells) + notes


def cold_json(dataset: Dataset, cold: Cold, rows: Sequence[tuple[str, Found | Refusal]], k: int) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "protocol": dataset.protocol,
        "items": len(cold.item_rows),
        "users": len(cold.user_rows),
        "pairs": len(cold.wanted),
        "results": [
            {
                "method": name,
                "config": None if found.config is None else dict(found.config),
                "fit_s": found.fit_s,
                "fit_cpu_s": found.fit_cpu_s,
                "metrics": {f"{metric}@{k}": found.interval(metric).as_json() for metric in METRICS},
            }
            for name, found in rows
            if isinstance(found, Found)
        ],
        "refused": [{"method": name, "reason": found.reason} for name, found in rows if isinstance(found, Refusal)],
    }
