"""manage.py benchmark sentiment FOLDER: how well praise is told from blame, on sentences such as SST-2's."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.encoders import ENCODERS
from recommender.management.benchmarks import Benchmark, check_outputs, watch
from recommender.services.benchmarking import sentiment

USUAL = ("words", "sentence", "states")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="with train.tsv.gz, dev.tsv.gz and test.tsv.gz: sentence, tab, 0 or 1"
    )
    parser.add_argument(
        "--method", action="append", choices=[*sentiment.METHODS, "all"],
        help=f"how sentences are read; may be repeated (default: {', '.join(USUAL)}; tuned takes minutes)",
    )  # fmt: skip
    parser.add_argument(
        "--text-encoder", choices=list(ENCODERS["text"]), default="minilm",
        help="what makes a sentence's vector (default: minilm); states and tuned read minilm in any case",
    )  # fmt: skip
    parser.add_argument("--tuned-epochs", type=int, default=3, help="passes in which minilm learns too (default: 3)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    methods = list(dict.fromkeys(options["method"] or USUAL))
    methods = list(sentiment.METHODS) if "all" in methods else methods
    if options["tuned_epochs"] < 1 or options["threads"] < 1:
        raise CommandError("--tuned-epochs and --threads take whole numbers above 0.")
    check_outputs(options)
    parts = sentiment.read(options["folder"])
    setup = sentiment.Setup(
        options["text_encoder"], options["tuned_epochs"], seed=options["seed"], threads=options["threads"]
    )
    found = sentiment.measure(parts, methods, setup, watch)
    out.write("\n".join(sentiment.table(options["folder"], parts, found)))
    if options["json"]:
        told = sentiment.as_json(options["folder"], parts, found)
        options["json"].write_text(json.dumps(told, indent=1, allow_nan=False))


BENCHMARK = Benchmark("How well praise is told from blame in sentences.", add_arguments, run)
