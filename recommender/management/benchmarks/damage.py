"""manage.py benchmark damage ml-1m --trainer als: how far attacks move items, and how much of it the defence undoes."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.attacks import INTENTS
from recommender.engine.attacks.profiles import KINDS
from recommender.management.benchmarks import (
    Benchmark,
    check_outputs,
    chosen_configs,
    chosen_limits,
    chosen_trainers,
    numbers,
    shared_arguments,
    watch,
)
from recommender.services.benchmarking import damage, plots, processes
from recommender.services.benchmarking.activities import ACTIVITIES


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("dataset", choices=sorted(ACTIVITIES))
    parser.add_argument("--kind", action="append", choices=[*KINDS, "all"], help="may be repeated (default: all)")
    parser.add_argument("--intent", choices=INTENTS, help="for all kinds (default: what each was made for)")
    parser.add_argument("--size", default="0.03", help="fake users per real one (default: 0.03; or 0.01,0.03)")
    parser.add_argument("--filler", default="0.05", help="share of the items each takes (default: 0.05)")
    parser.add_argument("--targets", type=int, default=1, help="items that an attack works for (default: 1)")
    parser.add_argument("--seeds", default="1,2,3", help="of the attacks (default: 1,2,3)")
    parser.add_argument("--no-cost", action="store_true", help="leave out what the defence costs without an attack")
    parser.add_argument("--plot", type=Path, help="also draw it: OUT.svg or OUT.png (needs matplotlib)")
    shared_arguments(parser)


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = chosen_trainers(options)
    kinds = options["kind"] or ["all"]
    plan = damage.Plan(
        options["dataset"],
        KINDS if "all" in kinds else list(dict.fromkeys(kinds)),
        options["intent"],
        sizes=shares("--size", options["size"]),
        fillers=shares("--filler", options["filler"]),
        targets=options["targets"],
        seeds=numbers("--seeds", options["seeds"], "1,2,3"),
        configs=chosen_configs(options, trainers),
        with_cost=not options["no_cost"],
        seed=options["seed"],
        threads=options["threads"],
        limits=chosen_limits(options),
    )
    check_outputs(options)
    measured = damage.measure_damage(plan, trainers, watch, processes.apart)
    for name, one in measured.items():
        if isinstance(one, processes.Refusal):
            out.write(f"{name}: no result: {one.reason}")
            continue
        out.write("\n".join(damage.table(damage.rows(one))))
        out.write("\n" + "\n".join(damage.notes(plan, one)) + "\n")
    if options["json"]:
        options["json"].write_text(json.dumps(damage.as_json(plan, measured), indent=1, allow_nan=False))
    if options["plot"] and (bars := damage.bars(measured)):
        plots.damage(options["plot"], bars, plan.dataset)


def shares(option: str, text: str) -> list[float]:
    """Distinct numbers between 0 and 1, rising."""
    try:
        found = sorted({float(word) for word in text.split(",")})
    except ValueError:
        found = []
    if not found or not all(0 < share <= 1 for share in found):
        raise CommandError(f"{option} takes shares above 0, up to 1, such as 0.03 or 0.01,0.05.")
    return found


BENCHMARK = Benchmark("How far attacks move items, and how much of it the defence undoes.", add_arguments, run)
