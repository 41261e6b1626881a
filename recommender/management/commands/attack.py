"""manage.py attack --kind average --size 0.03: a drill on a copy of the shop; nothing is written to its tables."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recommender.engine.attacks import INTENTS, Attack, drill
from recommender.engine.attacks.profiles import KINDS
from recommender.engine.errors import NoData, RecommenderError
from recommender.engine.trainers import TRAINERS, make_config
from recommender.management.benchmarks import watch
from recommender.management.data_arguments import settings_by_trainer
from recommender.services.benchmarking.tables import layout
from recommender.services.screening import drill as drills
from recommender.services.screening import drill_report, shop_copy

USUAL = Attack()


class Command(BaseCommand):
    help = (
        "Attack a copy of the shop in memory with fake visitors: what is noticed, what it moves, what the defence is "
        "worth, and what it costs when nobody attacks. The shop's tables stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kind", choices=KINDS, default=USUAL.kind, help=f"(default: {USUAL.kind})")
        parser.add_argument("--all", action="store_true", help="every kind, each with the intent it was made for")
        parser.add_argument("--intent", choices=INTENTS, help="push items up, or nuke them (default: push)")
        parser.add_argument(
            "--size", type=float, default=USUAL.size, help=f"fake visitors per real one (default: {USUAL.size})"
        )
        parser.add_argument(
            "--filler", type=float, default=USUAL.filler,
            help=f"share of the items that each takes to look like a shopper (default: {USUAL.filler})",
        )  # fmt: skip
        parser.add_argument("--targets", type=int, default=USUAL.targets, help="how many items they work for together")
        parser.add_argument("--target", action="append", default=[], metavar="ID", help="an item; may be repeated")
        parser.add_argument("--selected", type=int, default=USUAL.selected, help="items of the selected part")
        parser.add_argument("--days", type=float, default=USUAL.days, help="within which it all happens")
        parser.add_argument("--budget", type=int, help="most events in all")
        parser.add_argument("--trainer", choices=list(TRAINERS), default="als", help="who learns (default: als)")
        parser.add_argument("--config", default="{}", help="JSON: the trainer's settings")
        parser.add_argument("--k", type=int, default=10, help="length of the lists looked at (default: 10)")
        parser.add_argument("--no-cost", action="store_true", help="leave out what the defence costs without an attack")
        parser.add_argument("--seed", type=int, default=42)
        parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
        parser.add_argument("--json", type=Path, help="also write everything to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._drill(options)
        except NoData as error:
            raise CommandError(f"This shop is too small for a drill. {error.detail or error.message}") from error
        except RecommenderError as error:
            raise CommandError(error.message) from error

    def _drill(self, options: dict[str, Any]) -> None:
        if options["json"] and not options["json"].resolve().parent.is_dir():
            raise CommandError(f"--json: {options['json'].parent} is not a folder.")
        if options["all"] and options["intent"]:
            raise CommandError("--all gives each kind the intent it was made for: leave --intent out.")
        for name in ("k", "threads"):
            if options[name] < 1:
                raise CommandError(f"--{name} must be a whole number above 0.")
        if options["seed"] < 0:
            raise CommandError("--seed must be 0 or more.")
        attack = Attack(
            options["kind"],
            options["intent"] or USUAL.intent,
            size=options["size"],
            filler=options["filler"],
            targets=options["targets"],
            budget=options["budget"],
            target_ids=tuple(options["target"]),
            selected=options["selected"],
            days=options["days"],
        )
        name = options["trainer"]
        config = settings_by_trainer(options["config"], [name]).get(name, {})
        make_config(name, config)
        activity, setup = shop_copy.copy(
            trainer=name, config=config, k=options["k"], seed=options["seed"], threads=options["threads"]
        )
        self.stdout.write(
            f"A copy of the shop: {len(activity.visitors):,} visitors, {len(activity.items):,} items, "
            f"{len(activity):,} events; {name} learns."
        )
        ground = drills.prepare(activity, setup, watch(f"{name}: learning"))
        attacks = drill(attack) if options["all"] else [attack]
        found = [
            drills.exercise(ground, one, setup, options["seed"], watch(f"{one.kind} {one.intent}")) for one in attacks
        ]
        self.stdout.write("\n".join(layout(drill_report.HEADER, [drill_report.cells(one) for one in found])))
        self.stdout.write(drill_report.LEGEND.format(k=setup.k))
        self.stdout.write("\n" + "\n".join(" ".join(drill_report.sentences(one, setup)) for one in found))
        cost = None if options["no_cost"] else self._cost(activity, setup)
        if options["json"]:
            kept = drill_report.as_json(found, cost, setup)
            options["json"].write_text(json.dumps(kept, indent=1, allow_nan=False))

    def _cost(self, activity: Any, setup: drills.Setup) -> drills.Cost | None:
        try:
            cost = drills.cost(activity, setup, watch("cost without an attack"))
        except NoData as error:
            self.stdout.write(f"What the defence costs without an attack cannot be told. {error.detail}")
            return None
        self.stdout.write("\n" + drill_report.cost_sentence(cost, setup))
        return cost
