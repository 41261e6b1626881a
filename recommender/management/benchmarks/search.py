"""manage.py benchmark search FOLDER: how well words, vectors and both find what answers a question."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.encoders import ENCODERS
from recommender.management.benchmarks import Benchmark, check_outputs, watch
from recommender.services.benchmarking import collections, search
from recommender.services.benchmarking.search import METRICS, SITE, Measured


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="or zip: a collection in BEIR's layout (corpus.jsonl, queries.jsonl, qrels/*.tsv), or SciFact's CSV files",
    )  # fmt: skip
    parser.add_argument("--part", default="test", help="the judgements to measure on (default: test)")
    parser.add_argument("--encoder", default="minilm", choices=list(ENCODERS["text"]), help="default: minilm")
    parser.add_argument("--config", default="{}", help="JSON: settings of the encoder")
    parser.add_argument(
        "--tune", metavar="PART", nargs="?", const="train",
        help="also choose the fusion on other judgements (default: train), or, where there are none, on one half of "
        "the questions for the other",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    check_outputs(options)
    try:
        config = json.loads(options["config"])
    except ValueError as error:
        raise CommandError(f"--config is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise CommandError('--config takes an object, such as {"length": 256}.')
    collection = collections.read(options["folder"])
    part, name = options["part"], options["encoder"]
    documents, encoded = search.encode(collection, name, config, watch("encode"))
    tried: list[tuple[float, str, float]] = []
    with search.indexed(collection) as using:
        asked = search.ask(collection, part, using, documents, encoded)
        judged = collection.judged[part]
        rows = [
            Measured.of("words (BM25 of FTS5)", search.score(search.by_words(asked), judged)),
            Measured.of(f"vectors ({name})", search.score(search.by_vectors(asked), judged)),
            Measured.of(
                f"both, as the site has it ({_way(*SITE)})", search.score(search.by_both(asked, *SITE), judged)
            ),
        ]
        if (other := options["tune"]) and other != part and collection.judged.get(other):
            tried = search.tune(search.ask(collection, other, using, documents, encoded), collection.judged[other])
            weight, method, _ = tried[0]
            chosen = search.score(search.by_both(asked, weight, method), judged)
            rows.append(Measured.of(f"both, chosen on {other} ({_way(weight, method)})", chosen))
        elif other:
            rows.append(Measured.of("both, cross-validated", search.cross_validated(asked, judged, options["seed"])))
    answers = sum(map(len, judged.values()))
    size = f"{len(collection.titles):,} documents, {len(judged):,} questions of {part}, {answers:,} answers"
    out.write(f"{collection.name}: {size}")
    out.write("Intervals are of 95 %, by resampling questions.\n")
    out.write(f"{'':48}" + "".join(f"{metric:>22}" for metric in METRICS))
    for row in rows:
        cells = (f"{one.value:.4f} ({one.low:.3f}-{one.high:.3f})" for one in row.intervals)
        out.write(f"{row.name:48}" + "".join(f"{cell:>22}" for cell in cells))
    out.write(f"\nA question's words took {median(one.words_ms for one in asked.values()):.1f} ms (median).")
    for weight, method, value in tried[:10]:
        out.write(f"on {options['tune']}: {_way(weight, method):32} nDCG@10 {value:.4f}")
    if options["json"]:
        options["json"].write_text(
            json.dumps(
                {
                    "collection": collection.name,
                    "part": part,
                    "rows": [
                        {"name": row.name}
                        | {metric: one.as_json() for metric, one in zip(METRICS, row.intervals, strict=True)}
                        for row in rows
                    ],
                    "tried": [{"words": weight, "method": method, "ndcg@10": value} for weight, method, value in tried],
                },
                indent=1,
            )
        )


def _way(weight: float, method: str) -> str:
    return f"{method}, {weight:.2f} words"


BENCHMARK = Benchmark("How well words, vectors and both find what answers a question.", add_arguments, run)
