"""manage.py benchmark screening --events 1000000: what a pass of the detectors takes, by part."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.management.benchmarks import Benchmark
from recommender.services.benchmarking.screening import measure_screening
from recommender.services.benchmarking.tables import layout

FEWEST = 1_000


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=1_000_000, help="of the generated shop (default: 1000000)")
    parser.add_argument("--seed", type=int, default=1, help="of the shop (default: 1)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of the detectors (default: all)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write what was measured as JSON")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    if options["events"] < FEWEST or options["threads"] < 1:
        raise CommandError(f"--events must be {FEWEST:,} or more, --threads 1 or more.")
    found = measure_screening(options["events"], options["seed"], options["threads"], out.write)
    rows = [
        [one.name, f"{one.rows:,}", f"{one.found:,}", f"{one.seconds:.1f}", f"{one.peak_mib:,.0f}", one.note]
        for one in found.parts
    ]
    rows.append(
        ["all", "", "", f"{found.seconds:.1f}", f"{found.peak_mib:,.0f}", f"{found.start_mib:.0f} at the start"]
    )
    for line in layout(["part", "rows", "found", "seconds", "peak MiB", ""], rows):
        out.write(line)
    if options["json"]:
        options["json"].write_text(json.dumps(found.as_json(), indent=2) + "\n")


BENCHMARK = Benchmark("seconds and memory of a pass of the detectors, by part", add_arguments, run)
