"""A year of the demo shop: 2,000 simulated shoppers look round, buy, rate and review, and a few of them cheat.

Every visit follows one of the shopper's interests of that moment; what is looked at depends on taste, season, price,
the item's fame and what was looked at just before. What is chosen, bought and praised depends on how well it suits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from recommender.folio import cheats, crowd, interests, reviewers
from recommender.folio.catalogue import DEPARTMENTS, Product
from recommender.folio.crowd import Crowd
from recommender.folio.events import CART, DISLIKE, LIKE, PURCHASE, RATING, VIEW, Events, no_value

SHOPPERS, EVENTS = 2000, 100_000
EVENTS_PER_VISIT = 5.85  # measured; turns the wanted number of events into a number of visits
MOST_VIEWS = 14  # of one visit
CHUNK = 2000  # visits at once: bounds the (visits, N) arrays to a few MB

# How strongly each thing pulls when choosing what to look at, in nats.
INTEREST_PULL, HIDDEN_PULL, FAME_SPREAD, NEW_PULL, LEANING = 6.0, 0.45, 0.42, 0.7, 1.0
SAME_CREATOR, SAME_SHELF, SHARED_WORD, MOST_SHARED = 1.5, 0.4, 0.4, 1.2
AIMLESS_SHARE = 0.1  # of visits that follow no interest
NEW_FOR_S = 30 * crowd.DAY_S  # an item is shown as new for so long
KNOWN_BONUS = 0.7  # nats, for what everybody has heard of
KNOWN_TO_ALL = (
    "pride-and-prejudice frankenstein dracula moby-dick treasure-island jane-eyre wuthering-heights great-expectations"
    " alices-adventures-in-wonderland the-adventures-of-sherlock-holmes the-picture-of-dorian-gray the-time-machine"
    " the-odyssey the-iliad hamlet romeo-and-juliet macbeth don-quixote war-and-peace anna-karenina the-great-gatsby"
    " crime-and-punishment les-miserables peter-and-wendy the-secret-garden winnie-the-pooh walden meditations"
    " on-the-origin-of-species leaves-of-grass the-divine-comedy the-war-of-the-worlds the-wind-in-the-willows"
)

# Shares of looks (of visits, of carts, of ratings) that lead further; how well the item suits decides which.
RETURN_SHARE, LIKE_SHARE, DISLIKE_SHARE, CART_SHARE = 0.14, 0.085, 0.016, 0.245
CHECKOUT_SHARE, KEPT_SHARE, TEXT_SHARE = 0.8, 0.93, 0.83
SEVERAL_RATE = 0.07  # mean of the pieces beyond the first
STARS = (0.055, 0.065, 0.13, 0.29)  # shares of 1 to 4 stars; five take the rest

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Shelved:
    """What shoppers see of the N items."""

    affinity: crowd.Floats  # (N, K)
    seasons: crowd.Floats  # (N, S), nats
    hidden: crowd.Floats  # (N, HIDDEN), unit variance
    fame: crowd.Floats  # (N,), nats
    quality: crowd.Floats  # (N,), standard normal
    price: crowd.Floats  # (N,), standard scores within the department
    department: Rows  # (N,), 0 to 2
    added_s: Rows  # (N,), Unix seconds
    nearness: crowd.Floats  # (N, N), nats that a look at one item adds to another


@dataclass(frozen=True)
class Year:
    """What happened, and who really was behind it."""

    visitor_ids: list[str]
    names: list[str]
    events: Events
    """In time order."""
    reviews: list[reviewers.Review]
    """In time order; each belongs to one rating among the events."""
    cheats: dict[str, cheats.Cheat]
    """By visitor id: the ground truth, which nothing in the event tables tells."""
    crowd: Crowd


@dataclass(frozen=True)
class Looks:
    """Columns (E,): which visit looked at which item, when, for how long, and whether it had been seen before."""

    visit: Rows
    item: Rows
    time_s: Rows
    dwell_s: Rows
    again: NDArray[np.bool_]


def simulate(
    products: Sequence[Product], ends_at: datetime, seed: int = 2026, shoppers: int = SHOPPERS, events: int = EVENTS
) -> Year:
    """The 365 days before `ends_at`, about `events` events of `shoppers` shoppers; the same for the same arguments."""
    start_s, end_s = interests.year_before(ends_at)
    people_rng, look_rng, act_rng, cheat_rng, word_rng = np.random.default_rng(seed).spawn(5)
    items = _shelve(people_rng, products, end_s)
    people = crowd.gather(people_rng, shoppers, items.affinity, start_s, end_s)
    roles = cheats.cast(cheat_rng, shoppers)

    visitors = _visitors(look_rng, people, roles, max(round(events / EVENTS_PER_VISIT), shoppers))
    starts = crowd.visit_times(look_rng, people, visitors, start_s, end_s)
    order = np.lexsort((starts, visitors))
    visitors, starts = visitors[order], starts[order]
    gifts = look_rng.random(len(starts)) < interests.gift_level(starts)
    looks = _come_back(look_rng, _look_round(look_rng, items, people, visitors, starts, gifts), visitors, starts)

    honest = _act(act_rng, items, people, visitors, gifts, looks, end_s)
    planted = cheats.plant(cheat_rng, roles, items.fame, items.quality, items.added_s, start_s, end_s)
    # Visits of cheats are numbered after the honest ones, so that no two visits share a number.
    planted_events = planted.events.renumbered(len(visitors))
    everything = Events.joined([honest, planted_events]).within(start_s, end_s).in_time_order()
    visitor_ids = [f"shopper-{row + 1:04d}" for row in range(shoppers)]
    return Year(
        visitor_ids=visitor_ids,
        names=reviewers.names(word_rng, shoppers),
        events=everything,
        reviews=reviewers.write_all(word_rng, products, everything, planted.tones, TEXT_SHARE),
        cheats={
            visitor_ids[row]: cheats.Cheat(kind, [products[i].item_id for i in planted.targets[row]])
            for row, kind in sorted(roles.items())
        },
        crowd=people,
    )


def _shelve(rng: np.random.Generator, products: Sequence[Product], end_s: int) -> Shelved:
    n = len(products)
    department = np.array([DEPARTMENTS.index(product.department) for product in products])
    price = np.array([float(product.price) for product in products])
    for d in np.unique(department):
        rows = department == d
        price[rows] = (price[rows] - price[rows].mean()) / (price[rows].std() + 1e-9)
    quality = rng.normal(0, 1, n)
    # Three exponentials make a heavier tail than a normal: a few bestsellers, many that are rarely seen.
    fame = FAME_SPREAD * (rng.gamma(1.6, 1.0, n) - 1.6) + 0.25 * quality
    fame += KNOWN_BONUS * np.isin([product.item_id.removeprefix("book-") for product in products], KNOWN_TO_ALL.split())
    return Shelved(
        affinity=interests.affinities(products),
        seasons=interests.season_weights(products),
        hidden=interests.hidden_factors(products, crowd.HIDDEN),
        fame=fame.astype(np.float32),
        quality=quality.astype(np.float32),
        price=price.astype(np.float32),
        department=department,
        added_s=end_s - (np.array([product.added_days for product in products]) * crowd.DAY_S).astype(np.int64),
        nearness=_nearness(products),
    )


def _nearness(products: Sequence[Product]) -> crowd.Floats:
    words = [interests.words_of(product) for product in products]
    vocabulary = {word: column for column, word in enumerate(sorted(set().union(*words)))}
    holds = np.zeros((len(products), len(vocabulary)), dtype=np.float32)
    for row, own in enumerate(words):
        holds[row, [vocabulary[word] for word in own]] = 1
    near = np.minimum(SHARED_WORD * (holds @ holds.T), MOST_SHARED)
    for attribute, pull in (("creator", SAME_CREATOR), ("category", SAME_SHELF)):
        _, codes = np.unique([getattr(product, attribute) for product in products], return_inverse=True)
        near += pull * (codes[:, None] == codes[None, :])
    return near.astype(np.float32)


def _visitors(rng: np.random.Generator, people: Crowd, roles: dict[int, str], visits: int) -> Rows:
    """(V,): whose visit each one is. Everybody comes once; cheats have little ordinary life, bots none."""
    activity = people.activity.copy()
    own_life = np.ones(len(people), dtype=np.int64)
    for row, kind in roles.items():
        activity[row] *= cheats.ORDINARY_LIFE[kind]
        own_life[row] = cheats.ORDINARY_LIFE[kind] > 0
    counts = own_life + rng.multinomial(visits - int(own_life.sum()), activity / activity.sum())
    return np.repeat(np.arange(len(people)), counts)


def _look_round(
    rng: np.random.Generator,
    items: Shelved,
    people: Crowd,
    visitors: Rows,
    starts: Rows,
    gifts: NDArray[np.bool_],
) -> Looks:
    """What each visit (V,) looks at: a first item by taste, then others by taste and likeness to the first."""
    lengths = np.minimum(rng.geometric(0.3, len(visitors)) + (rng.random(len(visitors)) < 0.3), MOST_VIEWS)
    lengths = np.minimum(lengths, len(items.fame))
    found_visit, found_item, found_place = [], [], []
    for low in range(0, len(visitors), CHUNK):
        part = slice(low, min(low + CHUNK, len(visitors)))
        pull = _pull(rng, items, people, visitors[part], starts[part], gifts[part])
        rows = np.arange(len(pull))
        first = np.argmax(pull + rng.gumbel(size=pull.shape).astype(np.float32), axis=1)
        pull += items.nearness[first]
        pull += rng.gumbel(size=pull.shape).astype(np.float32)  # the largest noisy pulls: a draw without replacement
        pull[rows, first] = np.inf
        deep = min(MOST_VIEWS, pull.shape[1])
        top = np.argpartition(-pull, deep - 1, axis=1)[:, :deep]
        top = np.take_along_axis(top, np.argsort(-np.take_along_axis(pull, top, axis=1), axis=1), axis=1)
        visit, place = np.nonzero(np.arange(deep)[None, :] < lengths[part][:, None])
        chosen = top[visit, place]
        there = np.isfinite(pull[visit, chosen]) | (place == 0)  # nothing is looked at before it came into the shop
        found_visit.append(low + visit[there])
        found_item.append(chosen[there])
        found_place.append(place[there])
    visit, item, place = (np.concatenate(parts) for parts in (found_visit, found_item, found_place))
    dwell = 4 + np.minimum(rng.lognormal(3.5, 0.9, len(visit)), 900).astype(np.int64)
    total = np.cumsum(dwell) - dwell
    begins = np.maximum.accumulate(np.where(place == 0, total, 0))  # the total at the first look of each visit
    return Looks(visit, item, starts[visit] + total - begins, dwell, np.zeros(len(visit), dtype=bool))


def _pull(
    rng: np.random.Generator, items: Shelved, people: Crowd, visitors: Rows, starts: Rows, gifts: NDArray[np.bool_]
) -> crowd.Floats:
    """(V, N): how strongly each item draws each visit, in nats."""
    taste = people.taste(visitors, starts)
    taste[gifts] = people.early[rng.integers(len(people), size=int(gifts.sum()))]  # a present suits somebody else
    levels = interests.season_levels(starts)
    shares = np.cumsum(taste * np.exp(levels @ interests.season_moods()), axis=1)
    interest = (rng.random((len(taste), 1)) * shares[:, -1:] >= shares).sum(axis=1).clip(0, taste.shape[1] - 1)
    strength = INTEREST_PULL * (rng.random(len(taste)) >= AIMLESS_SHARE)
    pull = strength[:, None].astype(np.float32) * items.affinity.T[interest]
    pull += items.fame
    pull += LEANING * people.departments[visitors][:, items.department]
    pull += HIDDEN_PULL * (people.hidden[visitors] @ items.hidden.T)
    pull += levels @ items.seasons.T
    pull -= people.thrift[visitors, None] * items.price
    age_s = starts[:, None] - items.added_s
    pull += NEW_PULL * (age_s < NEW_FOR_S)
    pull[age_s < 0] = -np.inf
    return pull


def _come_back(rng: np.random.Generator, looks: Looks, visitors: Rows, starts: Rows) -> Looks:
    """Add the looks at something seen the last time, early in a shopper's next visit. Visits are sorted by shopper."""
    has_next = np.append(visitors[1:] == visitors[:-1], False)
    back = has_next[looks.visit] & (rng.random(len(looks.visit)) < RETURN_SHARE)
    visit = looks.visit[back] + 1
    dwell = 6 + np.minimum(rng.lognormal(3.8, 0.8, len(visit)), 900).astype(np.int64)
    return Looks(
        np.concatenate((looks.visit, visit)),
        np.concatenate((looks.item, looks.item[back])),
        np.concatenate((looks.time_s, starts[visit] + rng.integers(2, 40, len(visit)))),
        np.concatenate((looks.dwell_s, dwell)),
        np.concatenate((looks.again, np.ones(len(visit), dtype=bool))),
    )


def _act(
    rng: np.random.Generator,
    items: Shelved,
    people: Crowd,
    visitors: Rows,
    gifts: NDArray[np.bool_],
    looks: Looks,
    end_s: int,
) -> Events:
    """Everything that follows from looking: likes, dislikes, carts, purchases and, days later, ratings."""
    shopper, item, visit = visitors[looks.visit], looks.item, looks.visit
    suits = _suits(items, people, shopper, item, looks.time_s)
    during = looks.time_s + (looks.dwell_s * rng.uniform(0.4, 0.95, len(visit))).astype(np.int64)
    views = Events.of(VIEW, shopper, item, no_value(len(visit)), looks.time_s, visit)

    def some(score: crowd.Floats, share: float) -> Rows:
        """The first look of each pair among those that chance and score choose, `share` of all looks."""
        chosen = np.flatnonzero(rng.random(len(score)) < _chances(score, share))
        chosen = chosen[np.argsort(looks.time_s[chosen], kind="stable")]
        _, first = np.unique(shopper[chosen] * np.int64(len(items.fame)) + item[chosen], return_index=True)
        return chosen[np.sort(first)]

    disliked = some(-1.3 * suits - 0.8 * items.quality[item], DISLIKE_SHARE)
    liked = np.setdiff1d(some(1.3 * suits + 0.4 * items.quality[item], LIKE_SHARE), disliked)
    wanted = 1.15 * suits + 0.45 * items.quality[item] + 0.9 * looks.again + 0.6 * gifts[visit]
    carted = np.setdiff1d(some(wanted.astype(np.float32), CART_SHARE), disliked)
    parts = [views]
    for kind, chosen in ((LIKE, liked), (DISLIKE, disliked)):
        parts.append(
            Events.of(kind, shopper[chosen], item[chosen], no_value(len(chosen)), during[chosen], visit[chosen])
        )
    pieces = 1 + rng.poisson(SEVERAL_RATE, len(carted))
    parts.append(Events.of(CART, shopper[carted], item[carted], pieces, during[carted], visit[carted]))

    paying = rng.random(len(visitors)) < CHECKOUT_SHARE
    kept = paying[visit[carted]] & (rng.random(len(carted)) < KEPT_SHARE)
    bought, pieces = carted[kept], pieces[kept]
    leaves = np.zeros(len(visitors), dtype=np.int64)
    np.maximum.at(leaves, visit, looks.time_s + looks.dwell_s)
    paid_s = (leaves + rng.integers(40, 240, len(visitors)))[visit[bought]]
    parts.append(Events.of(PURCHASE, shopper[bought], item[bought], pieces, paid_s, visit[bought]))

    tells = (rng.random(len(bought)) < people.candour[shopper[bought]]) & (paid_s < end_s)
    rated, paid_s = bought[tells], paid_s[tells]
    waits = crowd.DAY_S * (2 + np.minimum(rng.lognormal(1.9, 0.7, len(rated)), 70)).astype(np.int64)
    rated_s = paid_s // crowd.DAY_S * crowd.DAY_S + waits + crowd.moments(rng, people, shopper[rated])
    pleased = 0.5 * suits[rated] + 0.65 * items.quality[item[rated]] + 0.35 * people.kindness[shopper[rated]]
    pleased = pleased + rng.normal(0, 0.6, len(rated))
    # Thresholds at quantiles: the shares of stars are a shop's usual ones whatever the scale of `pleased`.
    edges = np.quantile(pleased, np.cumsum(STARS)) if len(pleased) else np.zeros(len(STARS))
    stars = 1 + np.searchsorted(edges, pleased)
    parts.append(Events.of(RATING, shopper[rated], item[rated], stars, rated_s, np.full(len(rated), -1)))
    return Events.joined(parts)


def _suits(items: Shelved, people: Crowd, shopper: Rows, item: Rows, time_s: Rows) -> crowd.Floats:
    """(E,), standard scores: how well each item suits the shopper who looks at it, whatever the visit was for."""
    taste = people.taste(shopper, time_s)
    # The best interest counts for more than the average: who likes sea novels does not mind their lack of ghosts.
    matched = np.sqrt(taste) * items.affinity[item]
    score = 1.6 * matched.max(axis=1) + 0.5 * matched.sum(axis=1)
    score += 0.3 * (people.hidden[shopper] * items.hidden[item]).sum(axis=1)
    score += 0.3 * people.departments[shopper, items.department[item]]
    score -= 0.6 * people.thrift[shopper] * items.price[item]
    return ((score - score.mean()) / (score.std() + 1e-9)).astype(np.float32)


def _chances(score: crowd.Floats, share: float) -> NDArray[np.float64]:
    """Logistic chances that rise with the score and average to `share`; found by bisection on the intercept."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        mean = float(np.mean(1 / (1 + np.exp(-np.clip(score + middle, -30, 30)))))
        low, high = (middle, high) if mean < share else (low, middle)
    return 1 / (1 + np.exp(-np.clip(score + low, -30, 30).astype(np.float64)))
