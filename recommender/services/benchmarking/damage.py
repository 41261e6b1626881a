"""How far attacks move items among real users, and how much of that the defence undoes; and what it costs them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isnan
from typing import Any

import numpy as np

from recommender.engine.artifact import versions
from recommender.engine.attacks import Attack
from recommender.engine.attacks.profiles import KINDS, NUKE, usual_intent
from recommender.engine.trainers import make_config
from recommender.services.benchmarking import processes
from recommender.services.benchmarking.activities import load_activity
from recommender.services.benchmarking.processes import Limits, Refusal, Watch
from recommender.services.benchmarking.tables import layout
from recommender.services.screening import drill
from recommender.services.screening.drill import Cost, Damage, Exercise
from recommender.services.screening.drill_report import percent, plain

ASKED_REMOVED, ASKED_COST = 0.8, 0.01  # what a defence should do at least, and cost at most
HEADER = (
    "attack", "size", "filler", "AUROC", "caught", "left out", "precision", "before", "attacked", "defended", "removed",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """Which attacks are tried. Each seed draws other targets and fake visitors."""

    dataset: str
    kinds: Sequence[str] = KINDS
    intent: str | None = None
    """For all kinds; None for each what it was made for."""
    sizes: Sequence[float] = (0.03,)
    fillers: Sequence[float] = (0.05,)
    targets: int = 1
    seeds: Sequence[int] = (1, 2, 3)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by trainer; what is not named keeps its default."""
    with_cost: bool = True
    k: int = 10
    seed: int = 42
    """Of the fits and the detectors."""
    threads: int = 1
    limits: Limits = processes.NO_LIMITS

    def attacks(self) -> list[Attack]:
        return [
            Attack(kind, self.intent or usual_intent(kind), size=size, filler=filler, targets=self.targets)
            for kind in self.kinds
            for size in self.sizes
            for filler in self.fillers
        ]

    def setup(self, trainer: str) -> drill.Setup:
        return drill.Setup(trainer, self.configs.get(trainer, {}), k=self.k, seed=self.seed, threads=self.threads)


@dataclass(frozen=True)
class Measured:
    """What became of one trainer."""

    trainer: str
    exercises: Sequence[Exercise]
    cost: Cost | None


@dataclass(frozen=True)
class Row:
    """One attack, averaged over its seeds."""

    attack: Attack
    exercises: Sequence[Exercise]

    @property
    def damage(self) -> Damage:
        rates = np.array([[one.damage.clean, one.damage.attacked, one.damage.defended] for one in self.exercises])
        clean, attacked, defended = rates.mean(axis=0).tolist()
        return Damage(clean, attacked, defended, self.attack.intent)

    def mean(self, figure: str) -> float:
        """Of a figure of the detection, where it has one; NaN where it never has."""
        found = [value for one in self.exercises if not isnan(value := getattr(one.detection, figure))]
        return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True)
class Summary:
    """All attacks on one trainer that gained something, together."""

    gained: int
    """Attacks (means over seeds) that moved anything; the others are in no ratio."""
    attacks: int
    removed: float
    """Of the sum of their gains; NaN where none gained."""
    worst: float


def measure_damage(
    plan: Plan,
    trainers: Sequence[str],
    watch: Watch,
    run: Callable[..., Measured | Refusal] = processes.apart,
) -> dict[str, Measured | Refusal]:
    """By trainer. Raises InvalidConfig or UnknownName before anything is measured."""
    attacks = plan.attacks()
    for name in trainers:
        make_config(name, plan.configs.get(name, {}))
    return {name: run(measure_one, plan, name, attacks, watch=watch, limits=plan.limits) for name in trainers}


def measure_one(watch: Watch, plan: Plan, trainer: str, attacks: Sequence[Attack]) -> Measured:
    """All attacks on one trainer, here. Raises what fitting and detecting raise."""
    activity, setup = load_activity(plan.dataset), plan.setup(trainer)
    ground = drill.prepare(activity, setup, watch(f"{trainer}: learning"))
    found = []
    todo = [(attack, seed) for attack in attacks for seed in plan.seeds]
    progress = watch(f"{trainer}: attacks")
    for place, (attack, seed) in enumerate(todo):
        progress(place / len(todo), f"{attack.kind} {attack.intent}, seed {seed}")
        found.append(drill.exercise(ground, attack, setup, seed))
    progress(1.0, "done")
    cost = drill.cost(activity, setup, watch(f"{trainer}: cost without an attack")) if plan.with_cost else None
    return Measured(trainer, found, cost)


def rows(measured: Measured) -> list[Row]:
    """One for each attack, in the order in which they were tried."""
    by_attack: dict[Attack, list[Exercise]] = defaultdict(list)
    for one in measured.exercises:
        by_attack[replace(one.attack, target_ids=())].append(one)
    return [Row(attack, own) for attack, own in by_attack.items()]


def summary(found: Sequence[Row]) -> Summary:
    damages = [row.damage for row in found]
    worth = [damage for damage in damages if damage.gain >= drill.LEAST_GAIN]
    gain, left = sum(damage.gain for damage in worth), sum(damage.left for damage in worth)
    return Summary(
        len(worth),
        len(damages),
        1 - left / gain if worth else float("nan"),
        min((damage.removed for damage in worth), default=float("nan")),
    )


def table(found: Sequence[Row]) -> list[str]:
    cells = []
    for row in found:
        damage = row.damage
        cells.append(
            [
                f"{row.attack.kind} {row.attack.intent}",
                percent(row.attack.size),
                percent(row.attack.filler),
                f"{row.mean('auroc'):.3f}",
                *(percent(row.mean(figure)) for figure in ("caught", "left_out", "precision")),
                *(percent(rate, 2) for rate in (damage.clean, damage.attacked, damage.defended)),
                percent(damage.removed),
            ]
        )
    return layout(HEADER, cells)


def notes(plan: Plan, measured: Measured) -> list[str]:
    """What the table leaves out, in sentences."""
    total = summary(rows(measured))
    said = [
        f"{measured.trainer} on {plan.dataset}: means over {len(plan.seeds)} seed(s), each with {plan.targets} "
        "target(s) of its own: for a push among the less known half of the items, for a nuke among the "
        f"{drill.MOST_SHOWN} that are recommended most. before, attacked, defended: real users who see a target among "
        f"their first {plan.k}, of up to {drill.ASKED:,} users who had none of them.",
        f"{total.gained} of {total.attacks} attacks won over {percent(drill.LEAST_GAIN, 1)} of the users or more; "
        "the others did no damage to undo."
        + (
            f" Of the gains together the defence removes {percent(total.removed)} (aim: {percent(ASKED_REMOVED)}), "
            f"of the least defended one {percent(total.worst)}."
            if total.gained
            else ""
        ),
    ]
    if measured.cost is not None:
        low, high = measured.cost.share_range
        said.append(
            f"When nobody attacks, NDCG@{plan.k} is {measured.cost.plain.value:.4f} without and "
            f"{measured.cost.defended.value:.4f} with the defence, same users: it costs "
            f"{percent(measured.cost.share, 2)} [{percent(low, 2)}, {percent(high, 2)}] of it (aim: below "
            f"{percent(ASKED_COST)}). {percent(measured.cost.suspected, 2)} of the events count less or not at all."
        )
    return said


def as_json(plan: Plan, measured: Mapping[str, Measured | Refusal]) -> dict[str, Any]:
    results: dict[str, dict[str, Any]] = {}
    for name, one in measured.items():
        if isinstance(one, Refusal):
            results[name] = {"refused": one.reason}
            continue
        found = rows(one)
        results[name] = {
            "summary": asdict(summary(found)),
            "attacks": [
                {
                    "attack": asdict(row.attack),
                    **{figure: row.mean(figure) for figure in ("auroc", "caught", "left_out", "precision")},
                    **asdict(row.damage),
                    "gain": row.damage.gain,
                    "removed": row.damage.removed,
                    "exercises": [asdict(exercise) for exercise in row.exercises],
                }
                for row in found
            ],
            "cost": None if one.cost is None else asdict(one.cost) | {"share": one.cost.share},
        }
    return dict(plain({"plan": asdict(plan), "versions": versions(), "trainers": results}))


def bars(measured: Mapping[str, Measured | Refusal]) -> dict[str, list[tuple[str, float, float]]]:
    """By trainer, for a plot: each kind of attack with its gain without and with the defence, means over all."""
    found = {}
    for name, one in measured.items():
        if isinstance(one, Refusal):
            continue
        by_kind: dict[str, list[Damage]] = defaultdict(list)
        for row in rows(one):
            by_kind[f"{row.attack.kind} {'-' if row.attack.intent == NUKE else '+'}"].append(row.damage)
        found[name] = [
            (kind, float(np.mean([one.gain for one in own])), float(np.mean([one.left for one in own])))
            for kind, own in by_kind.items()
        ]
    return found
