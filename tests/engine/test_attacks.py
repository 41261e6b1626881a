"""Simulated attacks: what the literature says of each kind, and that nothing but the behaviour gives them away."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.attacks import Attack, Injected, drill, inject
from recommender.engine.attacks.mixing import invented
from recommender.engine.attacks.profiles import KINDS
from recommender.engine.data.activity import RATING, Activity
from recommender.engine.data.ids import Ids
from recommender.engine.errors import InvalidConfig, NoData
from tests.activities import DAY_S, DISLIKE, ITEMS, LIKE, PURCHASE, STARTS_S, VIEW, shop

RATED = shop()
SHOP = shop((VIEW, LIKE, PURCHASE))
MIXED = shop((VIEW, VIEW, LIKE, PURCHASE, RATING))


def theirs(found: Injected, column: str) -> np.ndarray:
    return getattr(found.activity, column)[found.fake_events]


def of_targets(found: Injected) -> np.ndarray:
    return np.isin(theirs(found, "item_rows"), found.targets)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activity", [RATED, SHOP, MIXED, shop(timed=False)], ids=["rated", "shop", "mixed", "untimed"])
@pytest.mark.parametrize("intent", ["push", "nuke"])
def test_real_visitors_stay_as_they_were_and_fake_ones_are_mixed_in(activity: Activity, kind: str, intent: str) -> None:
    found = inject(activity, Attack(kind, intent, size=0.1, filler=0.05, targets=2), seed=1)
    mixed, real = found.activity, ~found.fake_events
    assert found.fake.sum() == 30
    assert mixed.visitors.ids(np.flatnonzero(~found.fake)) == activity.visitors.all
    assert mixed.items is activity.items
    assert mixed.visitors.ids(mixed.visitor_rows[real]) == activity.visitors.ids(activity.visitor_rows)
    for column in ("item_rows", "kinds", "times", "sessions"):
        np.testing.assert_array_equal(getattr(mixed, column)[real], getattr(activity, column))
    np.testing.assert_array_equal(mixed.values[real], activity.values)
    assert (np.diff(mixed.times) >= 0).all()
    assert mixed.times.min() >= activity.times.min() and mixed.times.max() <= activity.times.max()
    # Neither the order of ids nor that of events at the same time tells who is fake.
    rows = np.flatnonzero(found.fake) / len(found.fake)
    assert 0.25 < rows.mean() < 0.75 and rows.min() < 0.25 and rows.max() > 0.75
    assert len(np.unique(mixed.sessions[found.fake_events & (mixed.sessions >= 0)])) == (
        len(set(zip(theirs(found, "visitor_rows"), theirs(found, "sessions"), strict=True)))
        if (activity.sessions >= 0).any()
        else 0
    )
    # Every fake visitor works on every target, or on all that compete with them.
    aims = found.rivals if len(found.rivals) else found.targets
    pairs = set(zip(theirs(found, "visitor_rows").tolist(), theirs(found, "item_rows").tolist(), strict=True))
    assert all((row, aim) in pairs for row in np.flatnonzero(found.fake).tolist() for aim in aims.tolist())
    assert not (set(found.rivals.tolist()) & set(found.targets.tolist()))
    assert set(theirs(found, "kinds")) <= set(activity.kinds.tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("intent", "stars"), [("push", 5), ("nuke", 1)])
def test_targets_get_the_ends_of_the_scale(kind: str, intent: str, stars: int) -> None:
    found = inject(RATED, Attack(kind, intent, targets=3, size=0.1), seed=2)
    assert len(found.targets) == 3
    assert set(theirs(found, "values")[of_targets(found)]) == {stars}
    assert set(theirs(found, "values")) <= {1, 2, 3, 4, 5}


def test_fillers_follow_their_share() -> None:
    found = inject(RATED, Attack("random", size=0.5, filler=0.1), seed=3)
    lengths = np.bincount(theirs(found, "visitor_rows"), minlength=len(found.fake))[found.fake] - 1
    assert abs(lengths.mean() - 20) < 1.5 and lengths.std() > 1
    pairs = theirs(found, "visitor_rows").astype(int) * ITEMS + theirs(found, "item_rows")
    assert len(np.unique(pairs)) == len(pairs)


def test_random_rates_about_the_mean_and_average_about_each_items() -> None:
    for kind, low, high in (("random", -0.15, 0.15), ("average", 0.7, 1.0)):
        found = inject(RATED, Attack(kind, size=0.5, filler=0.2), seed=4)
        rest = ~of_targets(found)
        item, stars = theirs(found, "item_rows")[rest], theirs(found, "values")[rest]
        assert low < np.corrcoef(item, stars)[0, 1] < high
        assert abs(stars.mean() - RATED.values[np.isin(RATED.item_rows, item)].mean()) < 0.8


def test_bandwagon_rides_on_the_best_known_with_most_stars() -> None:
    found = inject(RATED, Attack("bandwagon", size=0.1, filler=0.05, selected=6), seed=5)
    takers = [len(np.unique(RATED.visitor_rows[RATED.item_rows == item])) for item in range(ITEMS)]
    best = np.argsort(-np.array(takers), kind="stable")[:6]
    for item in best:
        mine = theirs(found, "item_rows") == item
        assert mine.sum() == found.fake.sum() and (theirs(found, "values")[mine] == 5).all()


def test_segment_wins_one_circle() -> None:
    found = inject(RATED, Attack("segment", size=0.1, filler=0.05, selected=8), seed=6)
    counts = np.bincount(theirs(found, "item_rows"), minlength=ITEMS)
    counts[found.targets] = 0
    selected = np.flatnonzero(counts == found.fake.sum())
    assert len(selected) == 8 and len(set(selected % 2)) == 1  # one circle's
    rest = ~np.isin(theirs(found, "item_rows"), [*selected, *found.targets])
    assert (theirs(found, "values")[rest] == 1).all()


def test_love_hate_says_the_reverse_of_all_others() -> None:
    nuke = inject(RATED, Attack("love_hate", "nuke"), seed=7)
    assert set(theirs(nuke, "values")[~of_targets(nuke)]) == {5}
    push = inject(RATED, Attack("love_hate", "push"), seed=7)
    assert set(theirs(push, "values")[~of_targets(push)]) == {1}


def test_reverse_bandwagon_joins_what_is_known_and_disliked() -> None:
    found = inject(RATED, Attack("reverse_bandwagon", "nuke", size=0.1, selected=5), seed=8)
    counts = np.bincount(theirs(found, "item_rows"), minlength=ITEMS)
    counts[found.targets] = 0
    selected = np.flatnonzero(counts == found.fake.sum())
    means = [RATED.values[RATED.item_rows == item].mean() for item in selected]
    assert len(selected) == 5 and max(means) < 2.2  # low items are rated low in this world, and are well known


def test_sybils_take_what_like_minded_visitors_take() -> None:
    found = inject(RATED, Attack("sybil", size=0.2, filler=0.1), seed=9)
    rest = ~of_targets(found)
    rows, items = theirs(found, "visitor_rows")[rest], theirs(found, "item_rows")[rest]
    odd = np.bincount(rows, items % 2, len(found.fake))[found.fake]
    share = odd / np.bincount(rows, minlength=len(found.fake))[found.fake]
    assert (np.minimum(share, 1 - share) < 0.05).mean() > 0.9  # of one circle, as everybody here
    assert np.corrcoef(items, theirs(found, "values")[rest])[0, 1] > 0.8  # with opinions to match


def test_visits_have_a_human_rhythm_within_the_campaign() -> None:
    found = inject(RATED, Attack("average", size=0.2, filler=0.1, days=10), seed=10)
    times = theirs(found, "times")
    assert times.max() - times.min() < 11 * DAY_S
    assert (((times - STARTS_S) % DAY_S) // 3600 >= 17).all() and (((times - STARTS_S) % DAY_S) // 3600 < 23).all()
    order = np.lexsort((times, theirs(found, "sessions")))
    same = np.diff(theirs(found, "sessions")[order]) == 0
    assert set(np.diff(times[order])[same]) == {30}
    slow = inject(RATED, Attack("sybil", size=0.2, filler=0.1, days=10), seed=10)
    assert theirs(slow, "times").max() - theirs(slow, "times").min() > 14 * DAY_S


def test_visits_without_names_end_after_a_pause() -> None:
    nameless = replace(RATED, sessions=np.full(len(RATED), -1, np.int64))
    found = inject(nameless, Attack("random", size=0.1, filler=0.1), seed=11)
    assert (found.activity.sessions == -1).all()
    rows, times = theirs(found, "visitor_rows"), theirs(found, "times")
    order = np.lexsort((times, rows))
    gaps = np.diff(times[order])[np.diff(rows[order]) == 0]
    assert (gaps == 30).mean() > 0.5 and (gaps > 1800).any()


def test_where_nobody_rates_what_counts_most_pushes() -> None:
    found = inject(SHOP, Attack("average", size=0.1), seed=12)
    kinds = theirs(found, "kinds")[of_targets(found)]
    assert set(kinds) == {VIEW, LIKE} and (kinds == LIKE).sum() == found.fake.sum()
    fillers = theirs(found, "item_rows")[~of_targets(found)]
    assert fillers.mean() < ITEMS * 0.45  # lower items are taken more often, by fake visitors too
    uniform = inject(SHOP, Attack("random", size=0.1), seed=12)
    assert abs(theirs(uniform, "item_rows")[~of_targets(uniform)].mean() - ITEMS / 2) < ITEMS * 0.06


def test_a_nuke_takes_what_the_shop_has_against_an_item() -> None:
    disliked = inject(shop((VIEW, LIKE, DISLIKE)), Attack("average", "nuke"), seed=13)
    assert set(theirs(disliked, "kinds")[of_targets(disliked)]) == {DISLIKE}
    rated = inject(MIXED, Attack("average", "nuke"), seed=13)
    assert set(theirs(rated, "kinds")[of_targets(rated)]) == {RATING}
    assert set(theirs(rated, "values")[of_targets(rated)]) == {1}
    neither = inject(SHOP, Attack("average", "nuke"), seed=13)
    assert len(neither.rivals) == 3 and not of_targets(neither).any()
    assert (neither.rivals % 2 == neither.targets[0] % 2).all()  # what the same circle takes


def test_pushes_aim_at_the_little_known_and_nukes_at_the_best_known() -> None:
    takers = np.array([len(np.unique(RATED.visitor_rows[RATED.item_rows == item])) for item in range(ITEMS)])
    for seed in range(5):
        push = inject(RATED, Attack(intent="push", targets=5, size=0.01), seed)
        nuke = inject(RATED, Attack(intent="nuke", targets=5, size=0.01), seed)
        assert takers[push.targets].max() <= np.median(takers[takers > 0])
        assert takers[nuke.targets].min() >= np.quantile(takers, 0.85)
    named = inject(RATED, Attack(target_ids=("i00007", "i00100")), 0)
    assert named.targets.tolist() == [7, 100]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intent", ["push", "nuke"])
@pytest.mark.parametrize("budget", [40, 150, 10_000])
def test_a_budget_is_kept(kind: str, intent: str, budget: int) -> None:
    found = inject(MIXED, Attack(kind, intent, size=0.2, filler=0.1, budget=budget, selected=3), seed=14)
    assert 0 < found.fake_events.sum() <= budget
    assert len(np.unique(theirs(found, "visitor_rows"))) == found.fake.sum()
    assert of_targets(found).any()


def test_the_same_seed_is_the_same_attack() -> None:
    one, same, other = (inject(MIXED, Attack("sybil"), seed) for seed in (3, 3, 4))
    for column in ("visitor_rows", "item_rows", "kinds", "values", "times", "sessions"):
        np.testing.assert_array_equal(getattr(one.activity, column), getattr(same.activity, column))
    assert one.activity.visitors.all == same.activity.visitors.all
    assert one.activity.visitors.all != other.activity.visitors.all


def test_a_drill_has_every_kind_with_the_intent_it_was_made_for() -> None:
    attacks = drill(Attack(size=0.07))
    assert [attack.kind for attack in attacks] == list(KINDS)
    assert {attack.kind for attack in attacks if attack.intent == "nuke"} == {"love_hate", "reverse_bandwagon"}
    assert {attack.size for attack in attacks} == {0.07}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "brute"},
        {"intent": "steal"},
        {"size": 0},
        {"size": 1.5},
        {"size": float("nan")},
        {"size": True},
        {"filler": -0.1},
        {"filler": "much"},
        {"targets": 0},
        {"targets": 2.5},
        {"selected": 0},
        {"budget": 0},
        {"days": float("inf")},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(wrong))):
        Attack(**wrong)  # type: ignore[arg-type]


def test_what_does_not_fit_the_shop_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="nobody"):
        inject(RATED, Attack(target_ids=("i00001", "nobody")))
    with pytest.raises(InvalidConfig, match="fewer targets"):
        inject(RATED, Attack(intent="nuke", targets=50))
    with pytest.raises(InvalidConfig, match="not enough for one"):
        inject(RATED, Attack("bandwagon", budget=5))
    with pytest.raises(InvalidConfig, match="rows beyond"):
        inject(replace(RATED, item_rows=RATED.item_rows + ITEMS), Attack())
    with pytest.raises(InvalidConfig, match="differ in length"):
        inject(replace(RATED, values=RATED.values[1:]), Attack())
    few = np.flatnonzero(RATED.visitor_rows < 5)
    columns = ("visitor_rows", "item_rows", "kinds", "values", "times", "sessions")
    with pytest.raises(NoData, match="5"):
        inject(replace(RATED, **{name: getattr(RATED, name)[few] for name in columns}), Attack())
    with pytest.raises(NoData):
        inject(replace(RATED, **{name: getattr(RATED, name)[:0] for name in columns}), Attack())


def test_invented_ids_look_like_the_others() -> None:
    uuids = Ids.of(f"{number:08x}-0000-4000-8000-{number * 7919:012x}" for number in range(500))
    names = invented(uuids, 50, np.random.default_rng(0))
    assert len(set(names) - set(uuids.all)) == 50 and {len(name) for name in names} == {36}
    assert all(set(name) <= set("0123456789abcdef-") for name in names)
    dense = Ids.of(map(str, range(10)))
    assert len(set(invented(dense, 200, np.random.default_rng(0))) - set(dense.all)) == 200
