"""manage.py benchmark encoders --modality text: seconds, megabytes and milliseconds of what makes vectors."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.encoders import ENCODERS
from recommender.management.benchmarks import Benchmark, check_outputs, chosen_limits, watch
from recommender.services.benchmarking import encoders, processes


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--modality", choices=list(ENCODERS), help="measure its encoders only (default: all)")
    parser.add_argument("--encoder", action="append", metavar="NAME", help="may be repeated (default: all)")
    parser.add_argument("--config", default="{}", help='JSON: {"bert": {"model": "folder"}, "minilm": {...}, ...}')
    parser.add_argument(
        "--items", type=int, metavar="N", help="to encode (default: 1000 texts, 200 pictures or 100 sounds)"
    )
    parser.add_argument("--minutes-each", type=float, metavar="M", help="stop an encoder that takes longer")
    parser.add_argument("--gib-each", type=float, metavar="G", help="stop an encoder that holds more memory")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="also write everything to this file")


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    chosen = [one for one in encoders.every() if options["modality"] in (None, one[0])]
    if options["encoder"]:
        known = {name for _, name in chosen}
        if strange := [name for name in options["encoder"] if name not in known]:
            raise CommandError(f"--encoder {strange[0]!r} is none of: {', '.join(sorted(known))}.")
        chosen = [one for one in chosen if one[1] in options["encoder"]]
    for name in ("items", "threads"):
        if options[name] is not None and options[name] < 1:
            raise CommandError(f"--{name} must be 1 or more.")
    check_outputs(options)
    rows = encoders.measure_encoders(
        chosen,
        configs=_configs(options["config"]),
        items=options["items"],
        seed=options["seed"],
        threads=options["threads"],
        limits=chosen_limits(options),
        watch=watch,
        run=processes.apart,
    )
    out.write("\n".join(encoders.encoders_table(rows)))
    if options["json"]:
        options["json"].write_text(json.dumps(encoders.encoders_json(rows), indent=1, allow_nan=False))


def _configs(text: str) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--config is not JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise CommandError('--config takes a JSON object by encoder, such as {"minilm": {"precision": "float32"}}.')
    if strange := sorted(set(found) - {name for _, name in encoders.every()}):
        raise CommandError(f"--config: {strange[0]!r} is no encoder.")
    return found


BENCHMARK = Benchmark("What encoders cost: to fit, to hold, for a query and for a catalogue.", add_arguments, run)
