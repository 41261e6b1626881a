"""manage.py benchmark intrusions FOLDER: how well attacks, new ones among them, are told from normal connections."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.anomaly import DETECTORS
from recommender.management.benchmarks import Benchmark, check_outputs, watch
from recommender.services.benchmarking import intrusion_files, intrusions

FOLDER = "nsl-kdd"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, nargs="?",
        help=f"with {intrusion_files.TRAIN}.txt.gz and {intrusion_files.TEST}.txt.gz (default: {FOLDER} in the folder"
        " that RECSITE_DATA names)",
    )  # fmt: skip
    usual = intrusions.Setup()
    parser.add_argument(
        "--detector", choices=list(DETECTORS), default=usual.detector,
        help=f"what learns from normal lines only (default: {usual.detector})",
    )  # fmt: skip
    parser.add_argument("--trees", type=int, default=usual.trees, help=f"of the classifier (default: {usual.trees})")
    parser.add_argument("--no-peers", action="store_true", help="measure ours only")
    parser.add_argument(
        "--validate", action="store_true",
        help="also keep each attack of the training file from all that learns, in turn: what the settings come from",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    if not 1 <= options["trees"] <= 10_000 or options["threads"] < 1 or options["seed"] < 0:
        raise CommandError("--trees (up to 10000) and --threads take whole numbers above 0, --seed from 0.")
    folder = options["folder"]
    if folder is None:
        if not os.environ.get("RECSITE_DATA"):
            raise CommandError("Name the data set's folder, or the one that it lies in by RECSITE_DATA.")
        folder = Path(os.environ["RECSITE_DATA"]) / FOLDER
    check_outputs(options)
    parts = intrusion_files.read(folder)
    setup = intrusions.Setup(
        options["detector"], trees=options["trees"], seed=options["seed"], threads=options["threads"]
    )
    peers: tuple[str, ...] = () if options["no_peers"] else intrusions.PEERS
    if missing := [name for name in peers if name.startswith("pyod") and find_spec("pyod") is None]:
        out.write(f"Left out: {', '.join(missing)} (PyOD is not installed; see requirements-benchmarks.txt).")
        peers = tuple(name for name in peers if name not in missing)
    found, facts = intrusions.measure(parts, setup, peers, watch)
    validated = intrusions.leave_kinds_out(parts["train"], setup, watch) if options["validate"] else None
    out.write("\n".join(intrusions.table(folder, parts, found, validated)))
    if options["json"]:
        told = intrusions.as_json(folder, parts, found, facts, validated, setup)
        options["json"].write_text(json.dumps(told, indent=1, allow_nan=False))


BENCHMARK = Benchmark("How well attacks, new ones among them, are told from normal connections.", add_arguments, run)
