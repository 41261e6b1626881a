"""How commands are told what data to measure on, and settings for several trainers."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from recommender.engine.data.datasets import DATASETS, LAYOUTS, Dataset, from_npz, from_sequences, load_dataset
from recommender.engine.trainers import TRAINERS


def add_data_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("dataset", nargs="?", help=f"{', '.join(DATASETS)}; or pass files of your own")
    parser.add_argument("--train", type=Path, help="users x items, as scipy.sparse.save_npz writes it")
    parser.add_argument("--test", type=Path, help="the same shape; what to find")
    parser.add_argument("--validation", type=Path, help="the same shape; what to choose settings by")
    parser.add_argument("--sequences", type=Path, help="whole numbers in time order; the last of each user is the test")
    parser.add_argument("--layout", choices=LAYOUTS, default="auto", help="of the sequences' lines")


def names_data(options: Mapping[str, Any]) -> bool:
    return any(options[name] for name in ("dataset", "train", "test", "sequences"))


def chosen_dataset(options: Mapping[str, Any]) -> Dataset:
    """Raises CommandError where not exactly one is named, InvalidDataset where it cannot be read."""
    files = bool(options["train"] or options["test"])
    if sum([bool(options["dataset"]), files, bool(options["sequences"])]) != 1:
        raise CommandError("Name a data set, or pass --train and --test, or pass --sequences.")
    if options["sequences"]:
        return from_sequences(options["sequences"], options["layout"])
    if files:
        if not (options["train"] and options["test"]):
            raise CommandError("--train and --test go together.")
        return from_npz(options["train"], options["test"], options["validation"])
    return load_dataset(options["dataset"])


def settings_by_trainer(text: str, trainers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by trainer from JSON; settings without a trainer's name are for the one trainer asked for."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--config is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise CommandError("--config takes a JSON object.")
    if set(given) <= set(TRAINERS) and all(isinstance(values, dict) for values in given.values()):
        return given
    if len(trainers) != 1:
        raise CommandError('--config with several trainers takes {"trainer": {settings}, ...}.')
    return {trainers[0]: given}
