"""The simulated year: right in number, always the same, full of taste and season, honest about cheats."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import share_split
from recommender.engine.data.weighting import EventWeights, weigh
from recommender.engine.trainers import Options, make_config, trainer
from recommender.folio import cheats, interests, reviewers
from recommender.folio.catalogue import DEPARTMENTS, Product, products
from recommender.folio.events import CART, DISLIKE, KINDS, LIKE, NO_VISIT, PURCHASE, RATING, VIEW
from recommender.folio.shoppers import Year, simulate

ENDS_AT = datetime(2026, 11, 24, 7, tzinfo=UTC)
DAY_S = 86_400
# Words that only praise or only blame, as a reader would take them. The phrases of the wrong stars must not have them.
PRAISE = (
    "adore adored adores beautiful beautifully best brilliant delight delighted favourite glorious gorgeous happier"
    " joy love loved lovely marvellous masterpiece perfect perfectly pleasure stunning superb treasure wonderful"
    " amazing thrilling thank smile glad gripped"
)
BLAME = (
    "awful avoid bore boring chore disappointed disappointing disappointment dislike disliked dreadful dull dullest"
    " fooled lifeless padding refund regret regretted scandal struggled sorry tedious terrible unbearable"
    " unlistenable waste worst muddy creased scratched flat ashamed cheap trudge slog bored thin sadly pity"
    " charity wore weak careless ragged muffled plods"
)


@pytest.fixture(scope="module")
def listed() -> list[Product]:
    return products()


@pytest.fixture(scope="module")
def year(listed: list[Product]) -> Year:
    """The real size: it takes a second or two."""
    return simulate(listed, ENDS_AT)


@pytest.fixture(scope="module")
def few(listed: list[Product]) -> list[Product]:
    return listed[::13]


def test_counts(year):
    assert len(year.visitor_ids) == len(set(year.visitor_ids)) == len(set(year.names)) == 2000
    assert 95_000 <= len(year.events) <= 106_000
    counts = dict(zip(KINDS, np.bincount(year.events.kind, minlength=len(KINDS)).tolist(), strict=True))
    assert counts["view"] > 4 * counts["cart"] > 4 * counts["purchase"] > 4 * counts["rating"] > 0
    assert min(counts["like"], counts["dislike"]) > 500
    assert 3_600 <= len(year.reviews) <= 4_400


@pytest.mark.parametrize("moment", [ENDS_AT, datetime(2025, 3, 1, 12, tzinfo=UTC)])
def test_same_seed_same_year(few, moment):
    first, again = (simulate(few, moment, seed=5, shoppers=80, events=3000) for _ in range(2))
    for name in ("kind", "shopper", "item", "time_s", "visit"):
        assert (getattr(first.events, name) == getattr(again.events, name)).all()
    assert first.reviews == again.reviews
    assert first.cheats == again.cheats


def test_another_seed_is_another_year(few):
    first, other = (simulate(few, ENDS_AT, seed=seed, shoppers=80, events=3000) for seed in (5, 6))
    assert len(first.events) != len(other.events) or (first.events.item != other.events.item).any()


def test_small_world_keeps_its_size(few):
    small = simulate(few, ENDS_AT, shoppers=80, events=3000)
    assert 2_400 <= len(small.events) <= 4_500
    assert set(np.unique(small.events.kind).tolist()) == set(range(len(KINDS)))


def test_everything_happens_within_the_year_and_in_order(year):
    end_s = int(ENDS_AT.timestamp())
    assert end_s - 365 * DAY_S <= year.events.time_s[0] and year.events.time_s[-1] < end_s
    assert (np.diff(year.events.time_s) >= 0).all()


def test_nothing_is_looked_at_before_it_came_into_the_shop(year, listed):
    added_s = np.array([(ENDS_AT - timedelta(days=product.added_days)).timestamp() for product in listed])
    assert (year.events.time_s >= added_s[year.events.item] - 1).all()


def test_carts_follow_views_and_purchases_follow_carts(year):
    first: dict[tuple[int, int, int], int] = {}
    honest = np.array([visitor_id not in year.cheats for visitor_id in year.visitor_ids])[year.events.shopper]
    events = year.events.take(honest)
    columns = (events.kind, events.shopper, events.item, events.time_s)
    for kind, shopper, item, time_s in zip(*(column.tolist() for column in columns), strict=True):
        first.setdefault((kind, shopper, item), time_s)
    for later, earlier in ((CART, VIEW), (LIKE, VIEW), (DISLIKE, VIEW), (PURCHASE, CART), (RATING, PURCHASE)):
        pairs = [(key, time_s) for key, time_s in first.items() if key[0] == later]
        assert all(first[earlier, shopper, item] < time_s for (_, shopper, item), time_s in pairs)


def test_values(year):
    stars = year.events.value[year.events.kind == RATING]
    assert set(stars.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}
    pieces = year.events.value[np.isin(year.events.kind, (CART, PURCHASE))]
    assert (pieces >= 1).all() and 1 < pieces.mean() < 1.3
    assert np.isnan(year.events.value[np.isin(year.events.kind, (VIEW, LIKE, DISLIKE))]).all()


def test_activity_and_popularity_are_heavy_tailed(year, listed):
    for column, size in ((year.events.shopper, 2000), (year.events.item, len(listed))):
        counts = np.sort(np.bincount(column, minlength=size))[::-1]
        assert counts[: size // 10].sum() > 0.25 * counts.sum(), "the busiest tenth"
        assert counts[0] < 0.03 * counts.sum(), "nobody and nothing is everything"


def test_what_is_bought_suits_the_buyer_far_better_than_chance(year, listed):
    affinity = interests.affinities(listed)
    events = year.events.take(year.events.kind == PURCHASE)
    taste = year.crowd.taste(events.shopper, events.time_s)
    favourite = taste.argmax(axis=1)
    within = (affinity[events.item, favourite] > 0.6).mean()
    chance = (affinity[:, favourite] > 0.6).mean()
    assert within > 3 * chance
    assert within < 0.9, "tastes are mixed, not partitions"


def test_tastes_drift(year, listed):
    affinity = interests.affinities(listed)
    moved = np.abs(year.crowd.late - year.crowd.early).sum(axis=1) > 0.5
    assert 0.2 < moved.mean() < 0.5
    events = year.events.take(moved[year.events.shopper])
    new = year.crowd.late.argmax(axis=1)[events.shopper]
    after = events.time_s > year.crowd.turns_s[events.shopper] + 30 * DAY_S
    before = events.time_s < year.crowd.turns_s[events.shopper] - 30 * DAY_S
    answers = affinity[events.item, new]
    assert answers[after].mean() > 1.5 * answers[before].mean()


def test_sessions_keep_to_a_theme(year, listed):
    """Two looks of one visit share an interest more often than two looks of the same shopper on other days."""
    best = interests.affinities(listed).argmax(axis=1)
    views = year.events.take((year.events.kind == VIEW) & (year.events.visit != NO_VISIT))
    order = np.lexsort((views.time_s, views.shopper))
    theme, visit, shopper = best[views.item[order]], views.visit[order], views.shopper[order]
    same_shopper = shopper[1:] == shopper[:-1]
    same_visit = visit[1:] == visit[:-1]
    alike = theme[1:] == theme[:-1]
    assert alike[same_shopper & same_visit].mean() > 1.2 * alike[same_shopper & ~same_visit].mean()


@pytest.mark.parametrize(("word", "high", "low"), [("ghosts", 10, 3), ("flowers", 5, 11), ("summer", 7, 2)])
def test_seasons_show(year, listed, word, high, low):
    """The share of looks at a subject in its month, against that of a month far from it."""
    about = np.array([word in interests.words_of(product) for product in listed])[year.events.item]
    month = year.events.time_s.astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12 + 1
    assert about[month == high].mean() > 1.4 * about[month == low].mean()


def test_december_is_the_busiest_month(year):
    month = year.events.time_s.astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12 + 1
    assert np.bincount(month).argmax() == 12


def test_evenings_are_busy_and_nights_quiet(year):
    hours = np.bincount(year.events.time_s % DAY_S // 3600, minlength=24)
    assert hours[19:22].min() > 8 * hours[3:5].max()


def test_als_learns_it_and_clearly_beats_popularity(year, listed):
    found = {name: _recall_at_20(year, listed, name) for name in ("popularity", "als")}
    assert found["als"] > 2 * found["popularity"]
    assert found["popularity"] > 0.05, "fame counts for something, as in any shop"
    assert found["als"] < 0.6, "not a toy that separates by itself"


def _recall_at_20(year: Year, listed: list[Product], name: str) -> float:
    """On the last tenth of the events, for items that the shopper had not met before."""
    events, item_ids = year.events, [product.item_id for product in listed]
    users, items = Ids.of(year.visitor_ids), Ids.of(item_ids)
    kinds = np.array(KINDS)[events.kind]
    data = Interactions.build(
        users,
        items,
        users.rows(year.visitor_ids)[events.shopper],
        items.rows(item_ids)[events.item],
        weigh(kinds, events.value, events.time_s, int(events.time_s[-1]), EventWeights()),
        events.time_s,
    )
    train, test, _ = share_split(data, 0.1)
    chosen, config = trainer(name), make_config(name, {})
    rows = np.unique(test.user_rows)
    scores = np.array(chosen.query(chosen.fit(train, config, Options()), config).scores(train.histories(rows)))
    recalls = []
    for row, own in zip(rows, scores, strict=True):
        own[train.item_rows[train.indptr[row] : train.indptr[row + 1]]] = -np.inf
        wanted = np.unique(test.item_rows[test.indptr[row] : test.indptr[row + 1]])
        recalls.append(np.isin(np.argpartition(-own, 20)[:20], wanted).sum() / min(len(wanted), 20))
    return float(np.mean(recalls))


def test_stars_follow_taste_and_quality_and_look_like_a_shop_s(year):
    stars = Counter(review.stars for review in year.reviews)
    assert stars[5] > stars[4] > stars[3] > max(stars[1], stars[2]) > 0
    assert 0.05 < (stars[1] + stars[2]) / len(year.reviews) < 0.2


def test_every_review_has_its_rating_and_pairs_are_unique(year):
    ratings = year.events.take(year.events.kind == RATING)
    stars = {
        (shopper, item, time_s): value
        for shopper, item, time_s, value in zip(
            ratings.shopper.tolist(),
            ratings.item.tolist(),
            ratings.time_s.tolist(),
            ratings.value.tolist(),
            strict=True,
        )
    }
    assert all(stars[review.shopper, review.item, review.time_s] == review.stars for review in year.reviews)
    pairs = Counter((review.shopper, review.item) for review in year.reviews)
    assert max(pairs.values()) == 1


def test_words_match_stars(year):
    """By a lexicon: praise outweighs blame in nearly all reviews of five stars, and the reverse in those of one."""
    praise, blame = set(PRAISE.split()), set(BLAME.split())
    balance: dict[int, list[int]] = {stars: [] for stars in range(1, 6)}
    for review in year.reviews:
        words = re.findall(r"[a-z']+", f"{review.title} {review.body}".lower())
        balance[review.stars].append(sum(word in praise for word in words) - sum(word in blame for word in words))
    means = [np.mean(balance[stars]) for stars in range(1, 6)]
    assert means == sorted(means)
    assert means[0] < -1 and means[4] > 1
    assert np.mean(np.array(balance[5]) < 0) < 0.01
    assert np.mean(np.array(balance[1]) > 0) < 0.01


def test_reviews_of_one_item_do_not_repeat_each_other(year):
    honest = [review for review in year.reviews if year.visitor_ids[review.shopper] not in year.cheats]
    assert len({review.body for review in honest}) == len(honest)
    openings: dict[int, list[str]] = {}
    for review in honest:
        openings.setdefault(review.item, []).append(re.split(r"(?<=[.!?]) ", review.body)[0])
    repeated = sum(len(own) - len(set(own)) for own in openings.values())
    assert repeated < 0.1 * len(honest)


def test_reviews_are_complete_sentences_with_all_slots_filled(year):
    for review in year.reviews:
        assert 0 < len(review.title) <= 120 and 20 <= len(review.body) <= 1000
        assert not re.search(r"[{}_]|\bNone\b|  ", review.title + review.body)
        assert review.body[0] == review.body[0].upper() and review.body[-1] in ".!?"


def test_every_product_can_be_reviewed_with_any_stars(listed):
    writer = reviewers.Writer(np.random.default_rng(0))
    for product in listed:
        for stars in range(1, 6):
            title, body = writer.write(product, stars)
            assert title and body and "{" not in title + body


def test_signatures_are_steady_and_shorter_than_the_column():
    assert {reviewers.signature("Ravi Oakley", n) for n in range(50)} == {"Ravi Oakley", "Ravi O.", "R. Oakley", "Ravi"}
    assert reviewers.signature("Ravi Oakley", 7) == reviewers.signature("Ravi Oakley", 7)


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        ("Sheridan Le Fanu", "Le Fanu"),
        ("Richard Henry Dana Jr.", "Dana"),
        ("Alfred, Lord Tennyson", "Tennyson"),
        ("Homer", "Homer"),
        ("Anonymous", "the author"),
    ],
)
def test_authors_are_called_by_their_surnames(listed, creator, said):
    book = next(product for product in listed if product.creator == creator)
    assert reviewers.maker(book) == said


def test_cheats_are_few_of_every_kind_and_look_like_anybody(year):
    assert len(year.cheats) == 60
    assert {cheat.kind for cheat in year.cheats.values()} == set(cheats.KINDS)
    assert set(year.cheats) < set(year.visitor_ids)
    rows = [year.visitor_ids.index(visitor_id) for visitor_id in year.cheats]
    assert 700 < np.mean(rows) < 1300, "spread over all numbers"


def test_cheats_are_only_in_the_ground_truth(year):
    """Nothing among the events or reviews names a kind of cheat."""
    said = " ".join(f"{review.title} {review.body}" for review in year.reviews)
    assert not any(kind in said for kind in cheats.KINDS)
    assert all(re.fullmatch(r"shopper-\d{4}", visitor_id) for visitor_id in year.visitor_ids)


def test_rings_praise_and_campaigns_sink_their_targets_in_a_burst(year, listed):
    rows = {product.item_id: row for row, product in enumerate(listed)}
    for kind, stars in ((cheats.RING, 5.0), (cheats.NUKE, 1.0)):
        gang = {visitor_id: cheat for visitor_id, cheat in year.cheats.items() if cheat.kind == kind}
        for visitor_id, cheat in gang.items():
            own = year.events.take(year.events.shopper == year.visitor_ids.index(visitor_id))
            targets = [rows[item_id] for item_id in cheat.targets]
            hits = own.take((own.kind == RATING) & np.isin(own.item, targets) & (own.value == stars))
            assert set(hits.item.tolist()) == set(targets)
            assert np.ptp(hits.time_s) < DAY_S


def test_scrapers_keep_an_inhuman_pace(year):
    for visitor_id, cheat in year.cheats.items():
        if cheat.kind == cheats.SCRAPER:
            own = year.events.take(year.events.shopper == year.visitor_ids.index(visitor_id))
            assert len(own) >= 60 and (own.kind == VIEW).all()
            gaps = np.diff(own.time_s)
            assert np.percentile(gaps, 90) - np.percentile(gaps, 10) <= 3


def test_cheats_are_a_small_part_of_the_events(year):
    cheating = np.array([visitor_id in year.cheats for visitor_id in year.visitor_ids])[year.events.shopper]
    assert 0.02 < cheating.mean() < 0.08


def test_departments_all_sell(year, listed):
    sold = Counter(listed[item].department for item in year.events.item[year.events.kind == PURCHASE].tolist())
    assert all(sold[department] > 400 for department in DEPARTMENTS)
