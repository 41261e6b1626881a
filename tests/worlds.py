"""Small data whose answer is known."""

import numpy as np

from recommender.engine.data.interactions import Ids, Interactions


def numbered(count: int, prefix: str) -> Ids:
    """`count` ids in row order."""
    return Ids.of(f"{prefix}{number:05d}" for number in range(count))


def two_groups(users: int = 60, items: int = 40, per_user: int = 8, seed: int = 0) -> Interactions:
    """Even users take even items only, odd users odd ones: whoever is asked must be answered from their own half."""
    random = np.random.default_rng(seed)
    user_rows = np.repeat(np.arange(users), per_user)
    item_rows = random.integers(0, items // 2, len(user_rows)) * 2 + user_rows % 2
    return Interactions.build(numbered(users, "u"), numbered(items, "i"), user_rows, item_rows, baskets=user_rows)


def nothing(users: int = 3, items: int = 4) -> Interactions:
    return Interactions.build(numbered(users, "u"), numbered(items, "i"), [], [])


def only_dislikes() -> Interactions:
    return Interactions.build(numbered(2, "u"), numbered(3, "i"), [0, 1], [0, 2], [-1.0, -2.0])


def single_user(items: int = 6) -> Interactions:
    """One person, who took the first three items."""
    return Interactions.build(numbered(1, "u"), numbered(items, "i"), [0, 0, 0], [0, 1, 2])


def one_item(users: int = 5) -> Interactions:
    return Interactions.build(numbered(users, "u"), numbered(1, "i"), np.arange(users), np.zeros(users, int))


def planted_pairs(pairs: int = 10, baskets: int = 400, seed: int = 0) -> Interactions:
    """Items 2 p and 2 p + 1 are always bought together; each basket also holds two of 40 unrelated items."""
    random = np.random.default_rng(seed)
    pair = random.integers(0, pairs, baskets)
    noise = 2 * pairs + random.integers(0, 40, (2, baskets))
    item_rows = np.stack([2 * pair, 2 * pair + 1, *noise]).T.ravel()
    basket = np.repeat(np.arange(baskets), 4)
    return Interactions.build(
        numbered(baskets, "u"), numbered(2 * pairs + 40, "i"), basket, item_rows, baskets=basket + 1000
    )


def long_tail(users: int = 300, items: int = 200, per_user: int = 10, seed: int = 0) -> Interactions:
    """No taste: item i is taken with a chance proportional to 1 / (i + 1), so popularity is the best answer."""
    random = np.random.default_rng(seed)
    chance = 1 / np.arange(1, items + 1)
    item_rows = random.choice(items, users * per_user, p=chance / chance.sum())
    user_rows = np.repeat(np.arange(users), per_user)
    return Interactions.build(numbered(users, "u"), numbered(items, "i"), user_rows, item_rows)
