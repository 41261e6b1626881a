"""Attacks on what is learned, simulated: fake visitors who push items up or nuke them, mixed in among real ones.

A profile has three parts (Mobasher, Burke, Bhaumik, Williams 2007, "Toward Trustworthy Recommender Systems"; Lam and
Riedl 2004): targets, selected items that make it matter to whom it should, fillers that make it look like anybody's.

    kind               selected: stars                 fillers: stars
    random                                             any items: about the mean of all
    average                                            any items: about each one's mean
    bandwagon          the best known: most            any items: about the mean of all
    segment            what one circle takes: most     any items: fewest
    love_hate                                          any items: the reverse of the targets'
    reverse_bandwagon  well known, disliked: fewest    any items: about the mean of all
    sybil                                              what two like-minded real visitors took, as they did

Targets get the most stars (push) or the fewest (nuke).

Where most events are no ratings, "most" is to look, to like (or buy, where nobody likes) and to give the most stars;
"fewest" to give the fewest stars, or to dislike: each as far as the data have it. Other selected items and fillers are
events copied from real ones; `average` draws its fillers as often as real visitors take them; the worst are the least
taken; `segment` has no low stars to give. Where nobody can speak against an item, a nuke pushes its rivals: the items
that its visitors take most, beside their popularity.

Times, visits and their rhythm are real visitors', moved: see `rhythm.py`.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recommender.engine.attacks import mixing, profiles, rhythm
from recommender.engine.attacks.profiles import KINDS, NUKE, PUSH
from recommender.engine.attacks.shop import Shop
from recommender.engine.data.activity import Activity
from recommender.engine.errors import InvalidConfig, NoData

INTENTS = (PUSH, NUKE)
FEWEST = 10  # visitors and items that a shop must have to be worth attacking
MOST_EVENTS = 20_000_000  # that an attack may add


@dataclass(frozen=True)
class Attack:
    """What the attacker does and spends."""

    kind: str = "average"
    intent: str = PUSH
    size: float = 0.03
    """Fake visitors, as a share of the real ones."""
    filler: float = 0.05
    """Share of all items that a fake visitor takes beside targets and selected ones: each item with this chance."""
    targets: int = 1
    """How many items all fake visitors push or nuke, where `target_ids` names none. Drawn, for a push, among the less
    known half of the items; for a nuke, among the best known tenth."""
    budget: int | None = None
    """Most events in all: there are fewer fake visitors then, and in the end fewer fillers."""
    target_ids: tuple[str, ...] = ()
    selected: int = 10
    """Items of the selected part, where the kind has one."""
    days: float = 14.0
    """Within which it all happens; a sybil group takes four times as long."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidConfig(f"The kind of attack {self.kind!r} is none of: {', '.join(KINDS)}.")
        if self.intent not in INTENTS:
            raise InvalidConfig(f"The intent {self.intent!r} is none of: {', '.join(INTENTS)}.")
        for name, value, high in (("size", self.size, 1.0), ("filler", self.filler, 0.5), ("days", self.days, 3660.0)):
            if not (_number(value) and 0 < value <= high):
                raise InvalidConfig(f"{name} must be a number above 0, up to {high:g}.")
        for name, count, most in (("targets", self.targets, 100), ("selected", self.selected, 1000)):
            if not (_whole(count) and 1 <= count <= most):
                raise InvalidConfig(f"{name} must be a whole number from 1 to {most}.")
        if self.budget is not None and not (_whole(self.budget) and self.budget >= 1):
            raise InvalidConfig("budget must be a whole number of events above 0, or None for any number.")


@dataclass(frozen=True)
class Injected:
    """A shop's events with an attack among them."""

    activity: Activity
    fake: NDArray[np.bool_]
    """(U,): which of its visitors the attacker made."""
    targets: NDArray[np.int32]
    """Rows of the items that are pushed or nuked."""
    rivals: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """Rows of the items that are pushed in place of nuking the targets."""

    @property
    def fake_events(self) -> NDArray[np.bool_]:
        """(E,): which events are the attacker's."""
        return self.fake[self.activity.visitor_rows]


def inject(activity: Activity, attack: Attack, seed: int = 42) -> Injected:
    """The same shop after the attack; real events keep their order, items their rows, visitors their ids.

    Time O(E log E), memory a few copies of the columns. The same seed gives the same. Raises NoData where there are too
    few visitors or items, InvalidConfig where the attack does not fit them.
    """
    shop = Shop.of(activity)
    if min(shop.visitors, shop.known_items) < FEWEST:
        raise NoData(
            f"An attack needs {FEWEST} visitors and {FEWEST} items that somebody took; "
            f"there are {shop.visitors} and {shop.known_items}."
        )
    random = np.random.default_rng(seed)
    targets = profiles.targets(shop, attack.intent, attack.targets, attack.target_ids, random)
    rivals = np.empty(0, np.int32)
    if attack.intent == NUKE and not shop.against:
        rivals = shop.rivals(targets)
    count, longest = _afforded(shop, attack, len(rivals) or len(targets))
    plan = profiles.plan(
        shop, attack.kind, attack.intent, targets, rivals, attack.selected, count, attack.filler, longest, random
    )
    if attack.budget is not None:
        plan = plan.within(attack.budget)
    times, sessions = rhythm.lived(shop, plan, attack.days, attack.kind == "sybil", random)
    mixed, fake = mixing.mix(activity, plan, times, sessions, random)
    return Injected(mixed, fake, targets, rivals)


def drill(attack: Attack) -> list[Attack]:
    """The same attack in every kind, each with the intent it was made for."""
    return [replace(attack, kind=kind, intent=profiles.usual_intent(kind)) for kind in KINDS]


def _afforded(shop: Shop, attack: Attack, aims: int) -> tuple[int, int | None]:
    """How many fake visitors, and how many fillers each may have at most."""
    count, longest = max(1, round(attack.size * shop.visitors)), None
    chosen = min(attack.selected, shop.known_items // 4) if attack.kind in profiles.SELECTING else 0
    loud = len(shop.favour)  # events about one item at most
    fixed = loud * (aims + chosen)
    each = fixed + attack.filler * shop.items
    if attack.budget is not None:
        longest = (attack.budget - fixed) // loud
        if longest < 1:
            raise InvalidConfig(
                f"A budget of {attack.budget:,} events is not enough for one fake visitor, who needs {fixed + loud:,} "
                "or more: raise it, or take fewer targets or selected items."
            )
        count = max(1, min(count, int(attack.budget / each)))
    if count * each > MOST_EVENTS:
        raise InvalidConfig(
            f"The attack would add about {count * each:,.0f} events; give it a budget of at most {MOST_EVENTS:,}, "
            "or a smaller size or filler."
        )
    return count, longest


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
