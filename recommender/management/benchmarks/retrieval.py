"""manage.py benchmark retrieval FOLDER --modality image --encoder contrastive: how well pictures and sounds find their
like."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.encoders import ENCODERS
from recommender.management.benchmarks import Benchmark, check_outputs, watch
from recommender.services.benchmarking import retrieval


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER",
        help="a folder or a zip with a folder for each class; below train/ and validation/ (or test/) where the "
        "latter's files are to be asked of the former's; otherwise each is asked of all others",
    )  # fmt: skip
    parser.add_argument("--modality", choices=list(retrieval.READERS), default="image")
    parser.add_argument("--encoder", default="contrastive", help="see engine/encoders (default: contrastive)")
    parser.add_argument("--config", default="{}", help="JSON: the encoder's settings")
    parser.add_argument(
        "--pattern", metavar="REGEX",
        help="finds the class in a file's name by (?P<class>...), and by (?P<group>...) what it does not count to "
        "find, such as the same speaker; each group is then asked of a gallery, and of a fit, without it",
    )  # fmt: skip
    parser.add_argument(
        "--held-out", type=int, default=0, metavar="N",
        help="to choose settings: ask one of N of the train/ files of the others, and look at no validation/ file",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    modality, name = options["modality"], options["encoder"]
    if name not in ENCODERS[modality]:
        raise CommandError(f"--encoder {name!r} is none of: {', '.join(ENCODERS[modality])}.")
    if options["held_out"] < 0 or options["held_out"] == 1:
        raise CommandError("--held-out takes 2 or more.")
    try:
        config = json.loads(options["config"])
    except ValueError as error:
        raise CommandError(f"--config is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CommandError('--config takes settings by name, such as {"size": 96}.')
    check_outputs(options)
    collection = retrieval.Collection.of(options["folder"], modality, options["pattern"])
    setup = retrieval.Setup(name, config, options["held_out"], options["seed"], options["threads"])
    report = retrieval.measure_retrieval(collection, setup, watch)
    out.write("\n".join(retrieval.retrieval_table(report)))
    if options["json"]:
        options["json"].write_text(json.dumps(retrieval.retrieval_json(report), indent=1, allow_nan=False))


BENCHMARK = Benchmark("How well pictures and sounds find their like.", add_arguments, run)
