"""Bought praise, smears, copies, bursts and contradictions planted among ordinary reviews."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.anomaly.subjects.reviews import BURST, CONTRADICTION, COPIED, NUKE, PUSH, Words, find
from recommender.engine.data.ids import Ids
from recommender.engine.errors import NoData
from recommender.engine.options import Options

ITEMS, WRITERS, DAY_S = 60, 250, 86_400
Row = tuple[str, int, float, int, str, float, float, float, float]  # as the columns of Words, in their order

VOCABULARY = np.array(
    [f"{a}{b}" for a in ("ba", "ke", "li", "mo", "nu", "pra", "sti") for b in ("ren", "lo", "sk", "ta")]
)


def text(rng: np.random.Generator, words: int = 30) -> str:
    return " ".join(rng.choice(VOCABULARY, words))


def ordinary(seed: int = 0) -> list[Row]:
    """One to six reviews each over a year, of what they looked at days before; half of them bought it."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for writer in range(WRITERS):
        for item in rng.choice(ITEMS, int(rng.integers(1, 7)), replace=False).tolist():
            stars = float(np.clip(round(rng.normal(4.0 - (item % 5) / 4, 1)), 1, 5))
            words = np.clip((stars - 1) / 4 + rng.normal(0, 0.15), 0, 1)
            bought, steps = float(rng.random() < 0.5), float(rng.integers(30, 300))
            at, since = int(rng.integers(365 * DAY_S)), float(rng.integers(2 * DAY_S, 20 * DAY_S))
            rows.append((f"v{writer}", item, stars, at, text(rng), words, since, bought, steps))
    return rows


def campaign(name: str, items: tuple[int, ...], stars: float, size: int = 7, seed: int = 1) -> list[Row]:
    """The same stars for the same items by all within three days, each after one short look, in words of their own."""
    rng = np.random.default_rng(seed)
    return [
        (
            f"{name}{n}",
            item,
            stars,
            200 * DAY_S + int(rng.integers(3 * DAY_S)),
            text(rng),
            (stars - 1) / 4,
            20.0,
            0.0,
            4.0,
        )
        for n in range(size)
        for item in items
    ]


def copies(count: int = 4) -> list[Row]:
    """One text of 40 words under other names, a word changed in each, months apart."""
    rng = np.random.default_rng(2)
    words = rng.choice(VOCABULARY, 40)
    rows: list[Row] = []
    for n in range(count):
        changed = words.copy()
        changed[7 * n] = "varied"
        rows.append((f"copy{n}", 20 + n, 5.0, (30 + 60 * n) * DAY_S, " ".join(changed), 0.9, np.inf, 0.0, 2.0))
    return rows


def burst(count: int = 25) -> list[Row]:
    """Strangers who praise one item within two days and do nothing else here."""
    rng = np.random.default_rng(3)
    return [
        (f"burst{n}", 55, 5.0, 100 * DAY_S + int(rng.integers(2 * DAY_S)), text(rng), 0.9, np.inf, 0.0, 1.0)
        for n in range(count)
    ]


def contradiction() -> list[Row]:
    return [("contra0", 41, 5.0, 300 * DAY_S, text(np.random.default_rng(4)), 0.01, 5.0 * DAY_S, 0.0, 80.0)]


def words(rows: list[Row], **changes: object) -> Words:
    who, what, *columns = zip(*rows, strict=True) if rows else ((),) * 9
    stars, times, texts, sentiment, looked_s, bought, steps = columns
    visitors, visitor_rows = Ids.factorize(list(who)) if rows else (Ids.of([]), np.zeros(0, np.int32))
    made = Words(
        ids=[str(1000 + number) for number in range(len(rows))],
        visitors=visitors,
        items=Ids.of(f"item-{number:02d}" for number in range(ITEMS)),
        visitor_rows=visitor_rows,
        item_rows=np.array(what, dtype=np.int32),
        stars=np.array(stars, dtype=np.float32),
        times=np.array(times, dtype=np.int64),
        texts=list(texts),
        sentiment=np.array(sentiment, dtype=np.float32),
        looked_s=np.array(looked_s, dtype=np.float32),
        bought=np.array(bought, dtype=np.float32),
        steps=np.array(steps, dtype=np.float32),
    )
    return replace(made, **changes)


PLANTED = {
    "push": (campaign("push", (3, 17, 30), 5.0), PUSH),
    "nuke": (campaign("nuke", (0, 5, 10), 1.0, seed=5), NUKE),
    "copy": (copies(), COPIED),
    "burst": (burst(), BURST),
    "contra": (contradiction(), CONTRADICTION),
}


@pytest.fixture(scope="module")
def world() -> Words:
    return words(ordinary() + [row for rows, _ in PLANTED.values() for row in rows])


@pytest.fixture(scope="module")
def found(world):
    return find(world, Options())


def rows_of(found, name: str) -> list[int]:
    return [row for row, visitor in enumerate(found.visitors) if visitor.startswith(name)]


@pytest.mark.parametrize("name", PLANTED)
def test_each_kind_is_found_and_named(found, name):
    rows = rows_of(found, name)
    assert len(rows) == len(PLANTED[name][0])
    assert found.probabilities[rows].min() > (0.5 if name == "contra" else 0.9)
    assert {found.kinds[row] for row in rows} == {PLANTED[name][1]}


def test_ordinary_reviews_are_left_alone(found):
    honest = rows_of(found, "v")
    assert (found.probabilities[honest] < 0.9).all() and (found.probabilities[honest] >= 0.5).mean() < 0.005


def test_reasons_are_sentences_with_their_figures(found):
    (first, *_), copy, (contra,) = (rows_of(found, name) for name in ("push", "copy", "contra"))
    assert found.reasons[first][0] == (
        "Gave 5 stars to the same 3 items within days as 6 others; shoppers usually share no such items."
    )
    assert any(
        "Reviewed it 20 seconds after first looking at it; usual are" in reason for reason in found.reasons[first]
    )
    assert any("3 others wrote almost the same 40 words." in reason for reason in found.reasons[copy[0]])
    assert found.reasons[contra][0] == "Its words condemn, its 5 stars do not."


def test_those_who_act_together_share_a_group(found):
    groups = [set(found.groups[rows_of(found, name)].tolist()) for name in ("push", "nuke", "copy")]
    assert all(len(group) == 1 and -1 not in group for group in groups) and len(set.union(*groups)) == 3
    assert (found.groups[found.probabilities < 0.5] == -1).all()


def test_each_names_its_item_and_its_place(found):
    row = rows_of(found, "nuke")[1]
    assert found.targets[row] == ["item-05"] and found.events[row].tolist() == [row]
    assert found.features.ids[row] == str(1000 + row)


def test_what_was_learned_judges_again(world, found):
    again = find(world, Options(), found.arrays)
    assert np.array_equal(again.probabilities, found.probabilities) and again.kinds == found.kinds


@pytest.mark.parametrize("missing", ["times", "sentiment", "looked_s", "bought", "steps", "texts", "stars"])
def test_what_is_missing_says_nothing(world, missing):
    nothing = {
        "times": np.zeros(len(world.ids), dtype=np.int64),
        "texts": [""] * len(world.ids),
    }.get(missing, np.full(len(world.ids), np.nan, dtype=np.float32))
    found = find(replace(world, **{missing: nothing}), Options())
    assert np.isfinite(found.probabilities).all()
    assert (found.probabilities[rows_of(found, "v")] >= 0.9).mean() < 0.003  # one who praises amid a burst may be
    if missing not in ("times", "stars"):
        assert found.probabilities[rows_of(found, "push")].min() > 0.9
    elif missing == "times":
        assert found.probabilities[rows_of(found, "copy")].min() > 0.9


def test_many_reviews_of_one_popular_item_are_no_ring():
    rng = np.random.default_rng(6)
    rows = [
        (f"v{n}", item, 5.0, n * DAY_S // 20, text(rng), 0.9, 9.0 * DAY_S, 1.0, 90.0)
        for n in range(200)
        for item in (1, 2 + n % 40)
    ]
    assert (find(words(rows), Options()).probabilities < 0.5).all()


def test_short_words_repeat_among_honest_people():
    rows = [(f"v{n}", n % ITEMS, 5.0, n * DAY_S, "Great, thank you!", 0.9, 9.0 * DAY_S, 1.0, 90.0) for n in range(100)]
    assert (find(words(rows), Options()).probabilities < 0.5).all()


@pytest.mark.parametrize(
    "rows",
    [
        ordinary()[:5],
        [("alone", n, 3.0 + n % 3, n * DAY_S, "", np.nan, np.nan, np.nan, np.nan) for n in range(40)],
        [("v1", 1, 4.0, 50, "Fine.", 0.8, 9.0, 1.0, 50.0)],
        [(f"v{n}", 1, 4.0, 50, "Fine.", 0.8, 9.0, 1.0, 50.0) for n in range(60)],
    ],
    ids=["five rows", "one visitor", "one row", "all equal"],
)
def test_little_or_nothing_to_tell_apart(rows):
    found = find(words(rows), Options())
    assert np.isfinite(found.probabilities).all() and (found.probabilities < 0.9).all()


def test_all_anomalous_are_all_found():
    found = find(words(campaign("push", (3, 17, 30), 5.0, size=12)), Options())
    assert (found.probabilities > 0.9).all() and set(found.kinds) <= {PUSH, BURST}


def test_no_reviews_are_said():
    with pytest.raises(NoData):
        find(words([]), Options())
