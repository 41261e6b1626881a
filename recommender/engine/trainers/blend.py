"""Blend: several trainers' scores, added up with weights that were learned on held-out events.

    linear           s(h) = sum_p w_p s_p(h) / std_i s_p(h)_i      scores in units of their own spread over the items
    reciprocal_rank  s(h) = sum_p w_p / (60 + rank_p(h))           (Cormack, Clarke, Buettcher 2009)
    lambdamart       boosted trees of scores, ranks and popularity, for each part's best (`lambdamart.py`)

with weights w >= 0 that sum to 1: those that maximise NDCG@10 of the held-out events (`parts.mix`; coordinate search,
as in Metzler and Croft 2007), drawn towards equal ones the more, the fewer users were asked. One part alone is among
the answers, and a mixture is taken only where it gains on users that it was not learned from, so that a blend is no
worse than its best part but by chance. A part without weight is not served.

Fitting costs what the parts cost, twice where events have to be held out first; an answer what those served cost. In
memory are the parts' arrays, one batch of scores per part, and 200 bytes per judged user and pair of parts.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, RecommenderError
from recommender.engine.learning.trees import Trees
from recommender.engine.trainers import Arrays, Options, Query, lambdamart, make_config, trainer
from recommender.engine.trainers.neighbours import check
from recommender.engine.trainers.parts import Scale, cut, mix, rising, settings_of, within

METHODS = ("linear", "reciprocal_rank", "lambdamart")
RANK_OFFSET = 60  # as in the paper: how little the first place is ahead of the second
CHOOSERS = ("auto", "blend")  # trainers of trainers
NOT_SERVED = frozenset({"user_vectors"})  # learned, but of no use to a query


@dataclass(frozen=True)
class BlendConfig:
    parts: tuple[str, ...] = ("item_knn", "als", "spectral", "ease")
    """Trainers, or presets (`presets.py`), each at most once."""
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by part, where they are not the trainer's or the preset's own."""
    method: str = "linear"
    """`linear`, weighted scores; `reciprocal_rank`, weighted ranks, which do not care how scores are spread;
    `lambdamart`, trees where they gain over weighted scores on users they were not learned from, else those."""
    weights: tuple[float, ...] = ()
    """One for each part, where they are known; empty to learn them."""
    share: float = 0.15
    """Of the events (or of each user's items, where times say nothing) held out to learn the weights by, where no
    events are given for it."""
    users: int = 6000
    """Users at most that the weights are learned by."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))  # which JSON has as lists
        object.__setattr__(self, "weights", tuple(self.weights))
        object.__setattr__(self, "configs", {name: dict(values) for name, values in self.configs.items()})
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise InvalidConfig("parts must name one trainer or more, each once.")
        if strange := sorted(set(self.configs) - set(self.parts)):
            raise InvalidConfig(f"configs has settings for {', '.join(strange)}, which is no part.")
        for name in self.parts:
            trainer_name, settings = settings_of(name, self.configs)
            if trainer_name in CHOOSERS:
                raise InvalidConfig(f"{trainer_name} cannot be a part.")
            make_config(trainer_name, settings)
        if self.method not in METHODS:
            raise InvalidConfig(f"method must be one of {', '.join(METHODS)}.")
        if self.weights and not (
            len(self.weights) == len(self.parts)
            and np.isfinite(self.weights).all()
            and min(self.weights) >= 0
            and max(self.weights) > 0
        ):
            raise InvalidConfig("weights must be one number of 0 or more for each part, and not all 0.")
        if self.weights and self.method == "lambdamart":
            raise InvalidConfig("lambdamart learns from events held out; leave weights empty.")
        check("share", self.share, 0.01, 0.5)
        check("users", self.users, 1, whole=True)


@dataclass(frozen=True)
class Part:
    """One trainer's part of a blend."""

    name: str
    trainer: str
    config: Mapping[str, Any]
    arrays: Arrays

    @property
    def query(self) -> Query:
        kind = trainer(self.trainer)
        return kind.query(self.arrays, make_config(self.trainer, self.config))


@dataclass(frozen=True)
class BlendQuery:
    parts: tuple[Query, ...]
    weights: tuple[float, ...]
    method: str
    item_vectors: None = None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        raise NotImplementedError("A blend has no vectors.")

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        scaled = (np.float32(weight) * self._scaled(part, histories) for part, weight in self._weighed())
        first = next(scaled)
        for other in scaled:
            first += other
        return first

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """The parts' own, scaled as their scores are. Ranks are no sums: there, an event's share of a part's score is
        its share of what speaks for the item in that part. What no event accounts for, as popularity, all share alike.
        """
        result = np.zeros((len(histories.item_rows), len(item_rows)), dtype=np.float32)
        if not len(result):
            return result
        for part, weight in self._weighed():
            own = part.contributions(histories, item_rows)
            scores = np.asarray(part.scores(histories)[:1], dtype=np.float32)
            wanted = SCALES[self.method](scores)[0, item_rows]
            if self.method == "linear":
                own = own * _per_spread(scores)[0]
            else:
                own = np.maximum(own, 0)
                total = own.sum(axis=0)
                own = own * np.divide(wanted, total, out=np.zeros_like(total), where=total > 0)
            result += weight * (own + (wanted - own.sum(axis=0)) / len(own))
        return result

    def neighbours(self, item_row: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Up to K other items that a history of this one asks for first, with scores above 0, best first."""
        scores = self.scores(Histories.single([item_row]))[0]
        scores[item_row] = 0
        order = np.argsort(-scores, kind="stable")[:k].astype(np.int32)
        order = order[scores[order] > 0]
        return order, scores[order]

    def _weighed(self) -> Iterable[tuple[Query, float]]:
        return zip(self.parts, self.weights, strict=True)

    def _scaled(self, part: Query, histories: Histories) -> NDArray[np.float32]:
        return SCALES[self.method](np.asarray(part.scores(histories), dtype=np.float32))


class BlendTrainer:
    Config = BlendConfig

    @staticmethod
    def fit(data: Interactions, config: BlendConfig, options: Options) -> Arrays:
        """`weights` float32 (P,), `method` and `parts` (JSON in bytes: name, trainer and settings of each), and each
        part's arrays as `NAME/...`. Parts that weigh nothing are left out.

        A part that cannot be fitted is done without, which progress says. Raises NoData, and the last part's error
        where none can be.
        """
        options = replace(options, progress=rising(options.progress))
        if config.weights:
            weights = dict(zip(config.parts, config.weights, strict=True))
            return assemble(*_fit_known(data, weights, config, options), config.method)
        rest, judge = cut(data, config.share, config.users, options)
        again = rest is not data
        until = 0.45 if again else 0.85
        parts = _fit_all(rest, config.parts, config, options, 0.0, until, "judged/")
        method = "linear" if config.method == "lambdamart" else config.method  # until trees are found to be better
        if judge is None:  # nobody to ask: the first that there is
            return assemble(parts[:1], [1.0], method)
        halfway = until + 0.1

        def compare(share: float, message: str) -> None:
            options.progress(until + 0.1 * share, message)

        queries = [part.query for part in parts]
        mixture = mix(judge.panel(queries, SCALES[method], compare), compare)
        if config.method == "lambdamart" and len(parts) > 1:
            popularity = np.log1p(np.bincount(rest.matrix.indices, minlength=rest.shape[1])).astype(np.float32)
            panel = lambdamart.Panel.of(judge, queries, SCALES["linear"], popularity, compare)
            trees = lambdamart.learn(panel, float(mixture.values.mean()), options.seed, compare)
            if trees is not None:
                weights = {part.name: float(weight) for part, weight in zip(parts, mixture.weights, strict=True)}
                if again:
                    parts = _fit_all(data, list(weights), config, options, halfway, 1.0)
                ordered = {"popularity": popularity, **trees.as_arrays()} if len(parts) == len(weights) else {}
                method = "lambdamart" if ordered else "linear"  # trees know all parts or none
                return {**assemble(parts, [weights[part.name] for part in parts], method), **ordered}
        chosen = [(part, float(weight)) for part, weight in zip(parts, mixture.weights, strict=True) if weight > 0]
        said = ", ".join(f"{part.name} {weight:.2f}" for part, weight in chosen)
        options.progress(halfway, f"{said}: NDCG@10 {mixture.values.mean():.4f}")
        if again:
            weights = {part.name: weight for part, weight in chosen}
            return assemble(*_fit_known(data, weights, config, options, halfway), method)
        options.progress(1.0, said)
        return assemble([part for part, _ in chosen], [weight for _, weight in chosen], method)

    @staticmethod
    def query(arrays: Arrays, config: BlendConfig) -> "Query | BlendQuery | lambdamart.LambdamartQuery":
        """That of the part itself where it is the only one."""
        parts = tuple(part.query for part in parts_of(arrays))
        weights, method = tuple(arrays["weights"].tolist()), bytes(arrays["method"]).decode()
        if method == "lambdamart":
            linear, trees = BlendQuery(parts, weights, "linear"), Trees.of(arrays)
            return lambdamart.LambdamartQuery(parts, linear, trees, arrays["popularity"], SCALES["linear"])
        return parts[0] if len(parts) == 1 else BlendQuery(parts, weights, method)

    @staticmethod
    def settled(arrays: Arrays, config: BlendConfig) -> BlendConfig:
        """The settings that learn the same mixture again, without asking which; but trees are grown anew."""
        names = tuple(part.name for part in parts_of(arrays))
        configs = {name: values for name, values in config.configs.items() if name in names}
        method = bytes(arrays["method"]).decode()
        weights = () if method == "lambdamart" else tuple(arrays["weights"].tolist())
        return replace(config, parts=names, configs=configs, method=method, weights=weights)

    @staticmethod
    def described(arrays: Arrays) -> dict[str, Any]:
        weights = arrays["weights"].tolist()
        parts = [
            {"name": part.name, "trainer": part.trainer, "config": part.config, "weight": weight}
            for part, weight in zip(parts_of(arrays), weights, strict=True)
        ]
        return {"trainer": "blend", "method": bytes(arrays["method"]).decode(), "parts": parts}


def assemble(parts: Sequence[Part], weights: Sequence[float], method: str) -> Arrays:
    """The arrays of a blend of what has been fitted."""
    facts = [{"name": part.name, "trainer": part.trainer, "config": part.config} for part in parts]
    learned = {
        f"{part.name}/{key}": array for part in parts for key, array in part.arrays.items() if key not in NOT_SERVED
    }
    return {
        "weights": (np.asarray(weights) / np.sum(weights)).astype(np.float32),
        "method": _bytes(method),
        "parts": _bytes(json.dumps(facts)),
        **learned,
    }


def parts_of(arrays: Arrays) -> list[Part]:
    return [
        Part(
            fact["name"],
            fact["trainer"],
            fact["config"],
            {
                key.removeprefix(f"{fact['name']}/"): array
                for key, array in arrays.items()
                if key.startswith(f"{fact['name']}/")
            },
        )
        for fact in json.loads(bytes(arrays["parts"]))
    ]


def _fit_known(
    data: Interactions, weights: Mapping[str, float], config: BlendConfig, options: Options, low: float = 0.0
) -> tuple[list[Part], list[float]]:
    names = [name for name, weight in weights.items() if weight > 0]
    parts = _fit_all(data, names, config, options, low, 1.0)
    options.progress(1.0, "all parts")
    return parts, [weights[part.name] for part in parts]


def _fit_all(
    data: Interactions,
    names: Sequence[str],
    config: BlendConfig,
    options: Options,
    low: float,
    high: float,
    folder: str = "",
) -> list[Part]:
    """The parts that can be fitted. Raises Cancelled, and the last error where none can be."""
    parts: list[Part] = []
    failed: RecommenderError | None = None
    for number, name in enumerate(names):
        start, stop = (low + (high - low) * place / len(names) for place in (number, number + 1))
        trainer_name, settings = settings_of(name, config.configs)
        made = make_config(trainer_name, settings)
        try:
            learned = trainer(trainer_name).fit(data, made, within(options, start, stop, name, f"{folder}{name}"))
        except Cancelled:
            raise
        except RecommenderError as error:
            failed = error
            options.progress(stop, f"{name} is left out: {error.message}")
        else:
            parts.append(Part(name, trainer_name, asdict(made), learned))
    if not parts and failed is not None:
        raise failed
    return parts


def _per_spread(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / std over items of each user's scores, (B, 1); 0 where they are all alike."""
    spread = scores.std(axis=1, keepdims=True, dtype=np.float64)
    usable = np.isfinite(spread) & (spread > 1e-9 * np.abs(scores).max(axis=1, keepdims=True, initial=0.0))
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=usable).astype(np.float32)


def _linear(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return scores * _per_spread(scores)


def _reciprocal_rank(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (60 + rank), rank 1 for the best; equals share the better rank."""
    result = np.empty_like(scores)
    for row, line in enumerate(scores):
        better = len(line) - np.searchsorted(np.sort(line), line, side="right")
        result[row] = 1 / (RANK_OFFSET + 1 + better)
    return result


SCALES: Mapping[str, Scale] = {"linear": _linear, "reciprocal_rank": _reciprocal_rank}


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
