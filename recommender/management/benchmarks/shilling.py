"""manage.py benchmark shilling ml-1m: how well fake profiles are told from real visitors."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.attacks.profiles import KINDS
from recommender.management.benchmarks import Benchmark, check_outputs, watch
from recommender.services.benchmarking import shilling
from recommender.services.benchmarking.activities import ACTIVITIES, load_activity


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("dataset", choices=sorted(ACTIVITIES), help="read from the folder that RECSITE_DATA names")
    parser.add_argument("--kind", action="append", choices=[*KINDS, "all"], help="may be repeated (default: all)")
    parser.add_argument("--size", default="0.01,0.03,0.05,0.1", help="fake visitors, as shares of the real ones")
    parser.add_argument("--filler", default="0.01,0.03,0.1", help="shares of all items that a fake visitor takes")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="attacks of each sort (default: 3)")
    parser.add_argument("--seed", type=int, default=100, help="the first of their seeds (default: 100)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    parser.add_argument("--plot", type=Path, help="also draw it: OUT.svg or OUT.png (needs matplotlib)")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    kinds = list(dict.fromkeys(options["kind"] or ["all"]))
    kinds = list(KINDS) if "all" in kinds else kinds
    sizes, fillers = _shares("--size", options["size"], 1.0), _shares("--filler", options["filler"], 0.5)
    for name, least in (("seeds", 1), ("seed", 0), ("threads", 1)):
        if options[name] < least:
            raise CommandError(f"--{name} must be {least} or more.")
    check_outputs(options)
    name = options["dataset"]
    seeds = range(options["seed"], options["seed"] + options["seeds"])
    attacks = shilling.plan(kinds, sizes, fillers)
    found = shilling.measure(load_activity(name), attacks, seeds, options["threads"], watch)
    out.write("\n".join(shilling.table(name, found)))
    if options["json"]:
        options["json"].write_text(json.dumps(shilling.as_json(name, found), indent=1, allow_nan=False))
    if options["plot"]:
        shilling.draw(options["plot"], name, found)


def _shares(option: str, text: str, most: float) -> list[float]:
    try:
        shares = sorted({float(part) for part in text.split(",")})
    except ValueError:
        shares = []
    if not shares or not all(0 < share <= most for share in shares):
        raise CommandError(f"{option} takes shares above 0, up to {most:g}, such as 0.01,0.05.")
    return shares


BENCHMARK = Benchmark("How well fake profiles are told from real visitors.", add_arguments, run)
