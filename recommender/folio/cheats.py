"""The dishonest few: rings that sell praise, campaigns that sink items, scrapers and view pumps.

Their accounts look like anybody's. Who they are is kept outside the shop's tables, for detectors to be judged by.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.folio.crowd import DAY_S, Floats
from recommender.folio.events import CART, LIKE, NO_VISIT, RATING, VIEW, Events, no_value

SHARE = 0.03  # of all shoppers
RING, NUKE, SCRAPER, PUMP = KINDS = ("review-ring", "nuke-campaign", "scraper", "view-pump")
CAST = {RING: 0.4, NUKE: 0.26, SCRAPER: 0.2, PUMP: 0.14}  # shares of the cheats
ORDINARY_LIFE = {RING: 0.35, NUKE: 0.25, SCRAPER: 0.0, PUMP: 0.2}  # ordinary visits, compared with an honest shopper
GANG = {RING: 8, NUKE: 8, SCRAPER: 1, PUMP: 4}  # accounts that share targets and dates
SETTLED_S = 60 * DAY_S  # a campaign begins at least so long after its targets came and before the year ends


@dataclass(frozen=True)
class Cheat:
    """The truth about one visitor."""

    kind: str
    targets: list[str]


@dataclass
class Plot:
    """What the cheats do: events, each cheat's targets, and how the words of a (shopper, item) review sound."""

    parts: list[Events] = field(default_factory=list)
    targets: dict[int, list[int]] = field(default_factory=dict)
    tones: dict[tuple[int, int], str] = field(default_factory=dict)
    visits: int = 0

    @property
    def events(self) -> Events:
        return Events.joined(self.parts) if self.parts else Events.of(VIEW, [], [], [], [], [])

    def visit(
        self, kind: int, shopper: int, items: NDArray[np.int64], times_s: NDArray[np.int64], value: float | None = None
    ) -> None:
        """Events of one kind; ratings belong to no visit, others share the last one that `next_visit` opened."""
        values = no_value(len(items)) if value is None else np.full(len(items), value)
        visits = np.full(len(items), NO_VISIT if kind == RATING else self.visits)
        self.parts.append(Events.of(kind, np.full(len(items), shopper), items, values, times_s, visits))

    def next_visit(self) -> None:
        self.visits += 1


def cast(rng: np.random.Generator, shoppers: int) -> dict[int, str]:
    """{shopper's row: kind of cheat} for 3 % of the shoppers, at least one of each kind, spread over all numbers."""
    count = max(round(SHARE * shoppers), len(KINDS))
    rows = rng.choice(shoppers, count, replace=False).tolist()
    sizes = {kind: max(1, round(share * count)) for kind, share in CAST.items()}
    kinds = [kind for kind, size in sizes.items() for _ in range(size)]
    return dict(zip(rows, (kinds + [RING] * count)[:count], strict=True))


def plant(
    rng: np.random.Generator,
    roles: dict[int, str],
    fame: Floats,
    quality: Floats,
    added_s: NDArray[np.int64],
    start_s: int,
    end_s: int,
) -> Plot:
    """Let every gang do its work within the year."""
    plot = Plot()
    settled = np.flatnonzero(added_s < start_s)
    by_fame = settled[np.argsort(fame[settled])]
    obscure, famous = by_fame[: max(len(by_fame) // 3, 4)], by_fame[-max(len(by_fame) // 10, 4) :]
    obscure = obscure[np.argsort(quality[obscure])]  # praise is bought by those who need it
    obscure = obscure[: max(len(obscure) // 2, 4)]
    for kind in KINDS:
        members = sorted(row for row, role in roles.items() if role == kind)
        for low in range(0, len(members), GANG[kind]):
            gang = members[low : low + GANG[kind]]
            begins_s = int(rng.integers(start_s + SETTLED_S, end_s - SETTLED_S))
            if kind == RING:
                _praise(rng, plot, gang, rng.choice(obscure, 3, replace=False), begins_s)
            elif kind == NUKE:
                _sink(rng, plot, gang, rng.choice(famous, 3, replace=False), begins_s)
            elif kind == PUMP:
                _pump(rng, plot, gang, rng.choice(obscure, 2, replace=False), begins_s)
            else:
                _scrape(rng, plot, gang[0], np.flatnonzero(added_s < begins_s), begins_s)
    return plot


def _praise(rng: np.random.Generator, plot: Plot, gang: list[int], targets: NDArray[np.int64], begins_s: int) -> None:
    """Five stars on every target from all members within three days, most after one short look."""
    for shopper in gang:
        plot.targets[shopper] = targets.tolist()
        plot.next_visit()
        arrives_s = begins_s + rng.integers(0, 3 * DAY_S)
        times_s = arrives_s + np.cumsum(rng.integers(40, 200, len(targets)))
        if rng.random() < 0.8:
            plot.visit(VIEW, shopper, targets, times_s - rng.integers(8, 30, len(targets)))
        if rng.random() < 0.5:
            plot.visit(LIKE, shopper, targets[:1], times_s[:1] + 3)
        plot.visit(RATING, shopper, targets, times_s, 5.0)
        plot.tones.update({(shopper, int(item)): "bought" for item in targets})


def _sink(rng: np.random.Generator, plot: Plot, gang: list[int], targets: NDArray[np.int64], begins_s: int) -> None:
    """One star on well-known items from all members within five days, nothing bought."""
    for shopper in gang:
        plot.targets[shopper] = targets.tolist()
        plot.next_visit()
        times_s = begins_s + rng.integers(0, 5 * DAY_S) + np.cumsum(rng.integers(30, 400, len(targets)))
        if rng.random() < 0.6:
            plot.visit(VIEW, shopper, targets, times_s - rng.integers(5, 25, len(targets)))
        plot.visit(RATING, shopper, targets, times_s, 1.0)
        plot.tones.update({(shopper, int(item)): "nuked" for item in targets})


def _scrape(rng: np.random.Generator, plot: Plot, shopper: int, there: NDArray[np.int64], begins_s: int) -> None:
    """A bot walks through the catalogue at one pace, at any hour, in runs that no reader could keep up with."""
    plot.targets[shopper] = []
    pace_s = int(rng.integers(3, 12))
    length = min(int(rng.integers(60, 110)), len(there))
    at = int(rng.integers(len(there)))
    for day in range(int(rng.integers(1, 4))):
        plot.next_visit()
        rows = there[(at + np.arange(length)) % len(there)]
        at += length
        starts_s = begins_s + day * int(rng.integers(1, 9)) * DAY_S + int(rng.integers(DAY_S))
        plot.visit(VIEW, shopper, rows, starts_s + pace_s * np.arange(length) + rng.integers(0, 2, length))


def _pump(rng: np.random.Generator, plot: Plot, gang: list[int], targets: NDArray[np.int64], begins_s: int) -> None:
    """The same two items over and over for ten days, carts that are never paid, so that they look popular."""
    for shopper in gang:
        plot.targets[shopper] = targets.tolist()
        for _ in range(int(rng.integers(8, 15))):
            plot.next_visit()
            arrives_s = begins_s + int(rng.integers(10 * DAY_S))
            rows = rng.choice(targets, int(rng.integers(2, 5)))
            times_s = arrives_s + np.cumsum(rng.integers(5, 40, len(rows)))
            plot.visit(VIEW, shopper, rows, times_s)
            if rng.random() < 0.5:
                plot.visit(CART, shopper, rows[:1], times_s[:1] + 3, 1.0)
        plot.visit(LIKE, shopper, targets, begins_s + 10 * DAY_S + np.arange(len(targets)))
