"""manage.py benchmark cold ml-1m --trainer two_tower: how well items that nobody has taken yet are found."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from recommender.engine.encoders import ENCODERS
from recommender.engine.options import Options
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
from recommender.management.data_arguments import add_data_arguments, chosen_dataset
from recommender.services import newcomers
from recommender.services.benchmarking import cold, cold_pages, processes

NEWCOMERS = ["two_tower", "als"]  # one that knows items by their features, and one that does not


def add_arguments(parser: ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--share", type=float, default=0.2, help="of the items, to keep out (default: 0.2)")
    parser.add_argument("--k", default="20", help="length of the lists looked at (default: 20)")
    parser.add_argument(
        "--text-encoder", choices=["none", *ENCODERS["text"]],
        help="what makes vectors of items' texts, beside their words (default: minilm where items have texts)",
    )  # fmt: skip
    parser.add_argument(
        "--on", choices=["test", "validation"], default="test",
        help="validation keeps other items out and leaves the test alone: to choose settings by (default: test)",
    )  # fmt: skip
    parser.add_argument(
        "--pages", action="store_true",
        help="rank items kept out among all others instead: what newcomers cost and gain on whole pages",
    )  # fmt: skip
    shared_arguments(parser, NEWCOMERS)


def run(options: Mapping[str, Any], out: OutputWrapper) -> None:
    trainers = chosen_trainers(options, NEWCOMERS)
    lengths = numbers("--k", options["k"], "20")
    if len(lengths) > 1:
        raise CommandError("--k takes one length here.")
    if not 0 < options["share"] < 1:
        raise CommandError("--share must be between 0 and 1.")
    check_outputs(options)
    dataset = chosen_dataset(options)
    encoded = None
    name = options["text_encoder"] or ("none" if dataset.texts is None else "minilm")
    if name != "none":
        if dataset.texts is None:
            raise CommandError(f"The items of {dataset.name} have no texts to encode.")
        how = Options(options["seed"], options["threads"], progress=watch(f"{name}: encoding"))
        encoded = cold.encoded(dataset.texts, name, how)
    kept = cold.Cold.of(dataset, options["share"], options["seed"], options["on"], encoded)
    setup = cold.Setup(
        lengths[0],
        chosen_configs(options, trainers),
        options["seed"],
        options["threads"],
        limits=chosen_limits(options),
    )
    if options["pages"]:
        for trainer in trainers:
            found = processes.apart(
                cold_pages.measure_pages, kept, trainer, setup, newcomers.SHARE, watch=watch, limits=setup.limits
            )
            if isinstance(found, processes.Refusal):
                out.write(f"{trainer}: {found.reason}")
            else:
                out.write("\n".join(cold_pages.pages_table(trainer, found, setup.k)))
        out.write(
            f"{dataset.name}: {len(kept.item_rows):,} items kept out. Texts: {name}. Asked by the {options['on']} part."
        )
        return
    rows = cold.measure_cold(kept, trainers, setup, watch, processes.apart)
    out.write("\n".join(cold.cold_table(dataset, kept, rows, setup.k)))
    out.write(f"Texts: {name}. Asked by the {options['on']} part.")
    if options["json"]:
        options["json"].write_text(json.dumps(cold.cold_json(dataset, kept, rows, setup.k), indent=1, allow_nan=False))


BENCHMARK = Benchmark("How well items that nobody has taken yet are found.", add_arguments, run)
