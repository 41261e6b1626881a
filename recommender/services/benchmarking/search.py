"""How well a search finds what answers a question: words, vectors, and both, by the code that serves the shop.

The documents become items of a database of their own, with the index that migration 0003 makes, and their texts are
encoded as items' are. A question is asked as a long query is: any of its words may occur.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from django.db import connections
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.encoders import encoder, make_config
from recommender.engine.errors import InvalidDataset
from recommender.engine.evaluation.bootstrap import Interval, intervals
from recommender.engine.index.exact import top_k
from recommender.engine.options import Options, Progress
from recommender.models import Category, Item
from recommender.services.benchmarking.collections import Collection, Judgements
from recommender.services.content.item_content import text
from recommender.services.search import lexical, meaning, results
from recommender.services.search.words import words

ALIAS = "benchmark"
METRICS = ("ndcg@10", "recall@100", "mrr@10")
LENGTH = 100  # of a ranking that is looked at
AT_ONCE = 64  # texts encoded between two words on how far it is
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
Ranking = Sequence[str]
Ways = dict[str, tuple[float, str]]
"""Name -> weight of words and method, see search/results.blend."""
SITE = (results.WORDS_WEIGHT, "convex")


@dataclass(frozen=True)
class Asked:
    """One question and what both sides found for it."""

    question: str
    matches: lexical.Matches
    near: meaning.Near
    words_ms: float


@dataclass(frozen=True)
class Measured:
    name: str
    values: NDArray[np.float64]
    """(V, METRICS), one row per question."""
    intervals: list[Interval]

    @classmethod
    def of(cls, name: str, values: NDArray[np.float64]) -> "Measured":
        return cls(name, values, intervals(values))


class Documents:
    """The vectors of documents, all of them looked at: what services/content/vectors gives for a catalogue."""

    def __init__(self, ids: Sequence[str], matrix: NDArray[np.float32]) -> None:
        self.ids, self.matrix = list(ids), matrix
        self._rows = {one: row for row, one in enumerate(ids)}

    def vectors(self, item_ids: Sequence[str], /) -> NDArray[np.float32]:
        return self.matrix[[self._rows[one] for one in item_ids]]

    def sample(self, n: int, /) -> list[str]:
        return self.ids[:: max(1, len(self.ids) // n)]

    def nearest(self, query: NDArray[np.float32], k: int, /) -> tuple[list[str], NDArray[np.float32]]:
        rows, scores = top_k((self.matrix @ query)[None], min(k, len(self.ids)))
        return [self.ids[row] for row in rows[0]], scores[0]


@contextmanager
def indexed(collection: Collection) -> Iterator[str]:
    """The alias of an SQLite database of its own that holds the documents as items; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="recsite-search-"))
    connections.databases[ALIAS] = {
        **connections.databases["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "search.sqlite3"),
        "OPTIONS": {},
    }
    connection = connections[ALIAS]
    try:
        with connection.schema_editor() as editor:
            editor.create_model(Category)
            editor.create_model(Item)
        import_module("recommender.migrations.0003_search").install(None, SimpleNamespace(connection=connection))
        Item.objects.using(ALIAS).bulk_create(_items(collection), batch_size=500)
        yield ALIAS
    finally:
        connection.close()
        del connections[ALIAS], connections.databases[ALIAS]
        shutil.rmtree(folder, ignore_errors=True)


def _items(collection: Collection) -> Iterator[Item]:
    for one, title in collection.titles.items():
        yield Item(id=one, title=title, description=collection.texts[one])


def encode(
    collection: Collection, name: str, config: Mapping[str, Any], progress: Progress
) -> tuple[Documents, Callable[[str], NDArray[np.float32]]]:
    """The documents' vectors, kept for the next time, and what makes a question's.

    Raises ModelMissing, InvalidConfig.
    """
    made = make_config("text", name, config)
    texts = [text(item) for item in _items(collection)]
    kind = encoder("text", name)
    arrays = kind.fit(texts, made, Options())
    opened = kind.open(arrays, made)
    digest = hashlib.sha256(repr((name, made)).encode())
    for array in (*arrays.values(), *(np.frombuffer(one.encode(), np.uint8) for one in texts)):
        digest.update(array.tobytes())
    kept = conf().artifacts_dir.parent / "benchmarks" / f"search-{digest.hexdigest()[:24]}.npy"
    if kept.is_file():
        matrix = np.load(kept, allow_pickle=False)
    else:
        parts = []
        for start in range(0, len(texts), AT_ONCE):
            parts.append(opened.encode(texts[start : start + AT_ONCE]))
            progress(min(1.0, (start + AT_ONCE) / len(texts)), f"{start + len(parts[-1]):,} of {len(texts):,}")
        matrix = np.concatenate(parts)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with (aside := kept.with_suffix(".aside")).open("wb") as file:
            np.save(file, matrix, allow_pickle=False)
        aside.replace(kept)
    return Documents(list(collection.titles), matrix), lambda question: opened.encode([question])[0]


def ask(
    collection: Collection,
    part: str,
    using: str,
    documents: Documents,
    encoded: Callable[[str], NDArray[np.float32]],
) -> dict[str, Asked]:
    """What words and vectors find for each judged question of a part. Raises InvalidDataset where there is none."""
    if not collection.judged.get(part):
        known = ", ".join(name for name, judged in collection.judged.items() if judged)
        raise InvalidDataset(f"{collection.name} has no judgements called {part!r}; it has: {known}.")
    found = {}
    for one in collection.judged[part]:
        question = collection.questions[one]
        began = time.perf_counter()
        terms = [[word] for word in words(question)]
        matches = lexical.find(terms, results.CANDIDATES, every=False, using=using)
        took_ms = 1000 * (time.perf_counter() - began)
        found[one] = Asked(question, matches, meaning.Near(documents, encoded(question)), took_ms)
    return found


def score(rankings: Mapping[str, Ranking], judged: Judgements) -> NDArray[np.float64]:
    """(V, METRICS), questions in the order of `rankings`: nDCG@10 with the grade as gain (Järvelin, Kekäläinen 2002, as
    trec_eval has it), Recall@100, and the reciprocal rank of the first answer among ten."""
    rows = []
    for one, ranking in rankings.items():
        grades = judged[one]
        gains = np.array([grades.get(document, 0) for document in ranking[:10]], dtype=np.float64)
        ideal = np.sort(np.array(list(grades.values()), dtype=np.float64))[::-1][:10]
        best = float((ideal / np.log2(np.arange(2, len(ideal) + 2))).sum())
        ndcg = float((gains / np.log2(np.arange(2, len(gains) + 2))).sum()) / best
        first = np.flatnonzero(gains)
        recall = len(set(ranking[:100]) & set(grades)) / len(grades)
        rows.append((ndcg, recall, 1 / (first[0] + 1) if len(first) else 0.0))
    return np.array(rows, dtype=np.float64).reshape(-1, len(METRICS))


def by_words(asked: Mapping[str, Asked]) -> dict[str, Ranking]:
    return {one: found.matches.item_ids[:LENGTH] for one, found in asked.items()}


def by_vectors(asked: Mapping[str, Asked]) -> dict[str, Ranking]:
    return {one: found.near.space.nearest(found.near.vector, LENGTH)[0] for one, found in asked.items()}


def by_both(asked: Mapping[str, Asked], weight: float, method: str) -> dict[str, Ranking]:
    return {
        one: [document for document, _ in results.blend(found.matches, found.near, weight, method)[:LENGTH]]
        for one, found in asked.items()
    }


def tune(asked: Mapping[str, Asked], judged: Judgements) -> list[tuple[float, str, float]]:
    """(weight of words, method, nDCG@10) of all that is tried, best first; ties by the order in which it is."""
    tried = [(weight, "convex") for weight in WEIGHTS] + [(weight, "reciprocal") for weight in WEIGHTS[2:-2:2]]
    found = [
        (weight, method, float(score(by_both(asked, weight, method), judged)[:, 0].mean())) for weight, method in tried
    ]
    return sorted(found, key=lambda one: -one[2])


def cross_validated(asked: Mapping[str, Asked], judged: Judgements, seed: int) -> NDArray[np.float64]:
    """(V, METRICS) where nothing else is judged: of each half of the questions, by the settings that are best on the
    other half. In the order of `asked`."""
    names = np.array(list(asked))
    half = np.random.default_rng(seed).permutation(len(names)) % 2
    values = np.zeros((len(names), len(METRICS)))
    for side in (0, 1):
        weight, method, _ = tune({one: asked[one] for one in names[half != side]}, judged)[0]
        values[half == side] = score(by_both({one: asked[one] for one in names[half == side]}, weight, method), judged)
    return values
