"""What a drill found, in words, as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from typing import Any

from recommender.engine.attacks.profiles import NUKE
from recommender.services.screening.drill import LEAST_GAIN, Cost, Exercise, Setup

HEADER = (
    "attack", "fake", "events", "AUROC", "caught", "left out", "precision", "before", "attacked", "defended", "removed",
)  # fmt: skip
LEGEND = (
    "caught: fake visitors more suspect than 99 % of the real ones. left out: fake visitors whose events training "
    "would leave out. precision: of all whose events it would leave out, the share that is fake. before, attacked, "
    "defended: real visitors who see a target among their first {k}. removed: the share of the attacker's gain that "
    "the defence takes away; - where there is next to none."
)


def cells(one: Exercise) -> list[str]:
    """A row of HEADER."""
    found, damage = one.detection, one.damage
    return [
        f"{one.attack.kind} {one.attack.intent}",
        f"{one.visitors:,}",
        f"{one.events:,}",
        f"{found.auroc:.3f}",
        percent(found.caught),
        percent(found.left_out),
        percent(found.precision),
        percent(damage.clean, 2),
        percent(damage.attacked, 2),
        percent(damage.defended, 2),
        percent(damage.removed),
    ]


def sentences(one: Exercise, setup: Setup) -> list[str]:
    """What happened, for people who run a shop."""
    attack, found, damage = one.attack, one.detection, one.damage
    targets = ", ".join(one.target_ids[:5]) + (" and more" if len(one.target_ids) > 5 else "")
    verb = "sink" if attack.intent == NUKE else "push"
    said = [
        f"{attack.kind}: {one.visitors:,} fake visitors with {one.events:,} events try to {verb} {targets}.",
        f"The detectors find {percent(found.caught)} of them while they suspect 1 % of the real visitors; training "
        f"would leave out {percent(found.left_out)} of them.",
    ]
    if found.quarantined:
        real = round(found.quarantined * (1 - found.precision))
        said.append(f"Of all {found.quarantined:,} whose events it would leave out, real visitors: {real:,}.")
    before = (
        f"Before the attack {percent(damage.clean, 2)} of the real visitors saw a target among their first {setup.k}, "
        f"after it {percent(damage.attacked, 2)}"
    )
    if damage.gain < LEAST_GAIN:
        said.append(f"{before}: the attack gained next to nothing that a defence could undo.")
    else:
        said.append(
            f"{before}, with the defence {percent(damage.defended, 2)}: it takes away {percent(damage.removed)} of "
            "what the attacker gained."
        )
    return said


def cost_sentence(cost: Cost, setup: Setup) -> str:
    low, high = cost.share_range
    return (
        f"When nobody attacks: NDCG@{setup.k} on the last {percent(setup.test_share)} of the events is "
        f"{cost.plain.value:.4f} without the defence and {cost.defended.value:.4f} with it; it costs "
        f"{percent(cost.share, 2)} [{percent(low, 2)}, {percent(high, 2)}] of it (below 0: it gains). "
        f"{percent(cost.suspected, 2)} of the events count less or not at all."
    )


def as_json(exercises: Sequence[Exercise], cost: Cost | None, setup: Setup) -> dict[str, Any]:
    """Numbers as they are, None where there is none."""
    return plain(
        {
            "setup": asdict(setup),
            "exercises": [asdict(one) | {"gain": one.damage.gain, "removed": one.damage.removed} for one in exercises],
            "cost": None if cost is None else asdict(cost) | {"share": cost.share, "share_range": cost.share_range},
        }
    )


def plain(value: Any) -> Any:
    """As JSON has it: no NaN, no tuples."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and isnan(value) else value


def percent(share: float, digits: int = 0) -> str:
    return "-" if isnan(share) else f"{100 * share:.{digits}f} %"
