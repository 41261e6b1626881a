"""What ranking costs on the path of every answer, and whether mixing sources ranks better than the model alone.

    python -m tests.benchmarks.ranking speed
    RECSITE_DATA=... python -m tests.benchmarks.ranking quality --data online-retail --trainer als

`speed`: medians in microseconds, for a pool of about 150 candidates and a page of ten. `quality`: the mixer is learned
on the validation part, from a model that saw only what came before; then the model learns from both, and the test part,
which nothing was chosen by, tells how much each way to mix ranks the next items better than the model's list alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from recommender.engine.data.datasets import Dataset, load_dataset
from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import without_known_pairs
from recommender.engine.data.vectors import unit
from recommender.engine.evaluation.bootstrap import intervals
from recommender.engine.evaluation.pools import Segments, pools
from recommender.engine.ranking import explain, explore, mixer, mixing, rerank, sources
from recommender.engine.ranking.mixing import Panel
from recommender.engine.ranking.sources import Pool
from recommender.engine.ranking.together import bought_together
from recommender.engine.trainers import Options, make_config, trainer

PAGE, ITEMS, DIMENSIONS, ROUNDS = 10, 100_000, 64, 2_000
LEARNED_FROM, JUDGED_BY = 2_000, 4_000  # users, at most


def median_us(call: Callable[[], Any]) -> float:
    for _ in range(50):
        call()
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return 1e6 * statistics.median(took)


def speed() -> None:
    random = np.random.default_rng(1)
    lists = {}
    for name, depth in sources.DEPTHS.items():
        scores = np.sort(random.random(depth).astype(np.float32))[::-1]
        lists[name] = random.choice(260, depth, replace=False).astype(np.int32), scores
    pool = sources.merge(lists)
    usual, first = mixer.Mixer(), mixer.Mixer("first")
    count = len(pool)
    vectors = random.standard_normal((count, DIMENSIONS)).astype(np.float32)
    scores, _ = usual.score(pool)
    terms: dict[str, Any] = {
        "vectors": vectors,
        "categories": random.integers(0, 6, count).astype(np.int32),
        "creators": random.integers(0, 40, count).astype(np.int32),
        "new": random.random(count) < 0.1,
        "causes": random.integers(-1, 4, count).astype(np.int32),
        "per_category": 0.6,
        "per_creator": 0.3,
        "newcomers": 0.2,
        "one_event": 0.5,
        "excluded": random.random(count) < 0.1,
    }
    sixty = {name: value[:60] if isinstance(value, np.ndarray) else value for name, value in terms.items()}
    order = rerank.rerank(scores, PAGE, **terms, extra=PAGE)
    told = Histories.single(random.integers(0, ITEMS, 20))
    companions = random.integers(0, ITEMS, (ITEMS, 20)).astype(np.int32)
    worth = random.random((ITEMS, 20)).astype(np.float32)
    learned = {"item_vectors": random.standard_normal((ITEMS, DIMENSIONS)).astype(np.float32), "lambda": np.array(0.01)}
    query = trainer("als").query(learned, als())
    measured = {
        f"merge: eight lists, {count} distinct": lambda: sources.merge(lists),
        "together with the latest five": lambda: sources.together_with_recent(told, 30, companions, worth),
        "mixer, weights": lambda: usual.score(pool),
        "mixer, model first": lambda: first.score(pool),
        "rerank 60, page of 10": lambda: rerank.rerank(scores[:60], PAGE, **sixty),
        f"rerank {count}, page of 10": lambda: rerank.rerank(scores, PAGE, **terms),
        f"rerank {count}, page of 10 and 10 beyond": lambda: rerank.rerank(scores, PAGE, **terms, extra=PAGE),
        "explore": lambda: explore.explore(order, scores, PAGE, np.random.default_rng(7)),
        "causes of 60, 20 events, als": lambda: explain.causes(query, told, pool.rows[:60]),
        "shares of 10, 20 events, als": lambda: explain.shares(query, told, pool.rows[:10]),
    }
    for name, call in measured.items():
        print(f"{name:44} {median_us(call):8.1f} us")


def als() -> Any:
    return make_config("als", {"factors": DIMENSIONS})


def asked(train: Interactions, later: Interactions, most: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Users of `later` with a history, and what they took that was new to them."""
    wanted = without_known_pairs(later.where(later.weights > 0), train).matrix
    users = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(train.indptr) > 0))
    users = np.sort(np.random.default_rng(0).permutation(users)[:most]).astype(np.int32)
    return users, [wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]] for user in users]


def made(train: Interactions, later: Interactions, name: str, most: int) -> tuple[list[Pool], list[np.ndarray]]:
    """Pools of users of `later`, from what `train` tells, with what they took next."""
    config = make_config(name, {})
    query = trainer(name).query(trainer(name).fit(train, config, Options(threads=2)), config)
    users, targets = asked(train, later, most)
    contents = None if train.item_features is None else unit(train.item_features)
    units = contents if query.item_vectors is None else unit(np.asarray(query.item_vectors))
    found = pools(
        query,
        train,
        users,
        companions=bought_together(train, sources.DEPTHS["together"]),
        segments=None if units is None else Segments.of(train, units, 42, 20_000),
        contents=contents,
    )
    return found, targets


def judged(panel: Panel, found: list[Pool], one: mixer.Mixer) -> np.ndarray:
    scores = np.zeros(panel.valid.shape, dtype=np.float32)
    for line, pool in enumerate(found):
        scores[line, : len(pool)] = one.score(pool)[0]
    return panel.ndcg(scores)


def quality(data: Dataset, name: str) -> None:
    train, validation = data.tuning(42)
    before, took = made(train, validation, name, LEARNED_FROM)
    ways: dict[str, mixer.Mixer] = {"places as usual": mixer.Mixer()}
    for kind in mixing.LEARNED:
        started = time.perf_counter()
        learned = mixing.learn(before, took, kind=kind)
        if learned is None:
            raise SystemExit("Too few users to learn from.")
        facts = learned.facts
        print(f"{kind}, on {facts['users']} validation users: model {facts['model']:.4f}, mixed {facts['mixed']:.4f}, "
              f"gain {facts['gain']['low']:+.4f} to {facts['gain']['high']:+.4f}, serves {facts['kind']} "
              f"({time.perf_counter() - started:.1f} s)")  # fmt: skip
        print("   ", {key: value for key, value in facts["weights"].items() if value})
        ways[f"learned for {kind}: {facts['kind']}"] = mixer.open(learned.arrays, facts)
    panel = Panel.of(before, took)
    weights = mixing.weigh(panel, 42)
    ways["weights, whether sure or not"] = mixer.Mixer("weights", (weights / weights.sum()).astype(np.float32))
    after, wanted = made(data.history, data.test, name, JUDGED_BY)
    tested = Panel.of(after, [np.unique(rows) for rows in wanted])
    alone = tested.alone()
    print(f"test, {len(after)} users: the model's list alone {alone.mean():.4f}")
    for way, one in ways.items():
        values = judged(tested, after, one)
        [gain] = intervals((values - alone)[:, None])
        print(f"    {way:40} {values.mean():.4f}  {100 * gain.value / alone.mean():+.1f} % "
              f"[{100 * gain.low / alone.mean():+.1f}, {100 * gain.high / alone.mean():+.1f}]")  # fmt: skip
    usual = judged(panel, before, ways["places as usual"]).mean()
    print(f"validation, places as usual: {usual:.4f}, the model's list alone {panel.alone().mean():.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "quality"))
    parser.add_argument("--data", default="online-retail")
    parser.add_argument("--trainer", default="als")
    options = parser.parse_args()
    if options.what == "speed":
        speed()
    else:
        quality(load_dataset(options.data), options.trainer)


if __name__ == "__main__":
    main()
