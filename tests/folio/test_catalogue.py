"""What Folio sells: the right numbers, sane facts, the same list every time."""

import re
from collections import Counter
from decimal import Decimal

import pytest

from recommender.folio import catalogue
from recommender.folio.catalogue import BOOKS, DEPARTMENTS, PRINTS, RECORDS, Book, Product, categories, products
from recommender.folio.interests import NAMES, affinities, words_of

EARLIEST_YEAR, TODAY = -2500, 2026  # the oldest texts on the shelf are Mesopotamian


@pytest.fixture(scope="module")
def listed() -> list[Product]:
    return products()


def test_every_department_is_well_filled(listed):
    counts = Counter(product.department for product in listed)
    assert 380 <= counts[BOOKS] <= 420
    assert counts[PRINTS] == 250
    assert counts[RECORDS] == 120


def test_catalogue_is_always_the_same(listed):
    assert products() == listed


def test_ids_are_unique_and_safe_in_a_url(listed):
    ids = [product.item_id for product in listed]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9-]{1,60}", item_id) and not item_id.endswith("-") for item_id in ids)


def test_no_two_books_of_one_author_share_a_title(listed):
    books = [(product.title, product.creator) for product in listed if product.department == BOOKS]
    assert len(set(books)) == len(books)


def test_books_are_in_the_public_domain_and_have_facts(listed):
    for product in listed:
        if isinstance(product.source, Book):
            assert EARLIEST_YEAR <= product.source.year < catalogue.PUBLIC_DOMAIN_BEFORE, product.title
            assert product.creator and product.subjects and len(product.description) > 80, product.title
            assert ("written" in product.attributes) == (product.source.year < 0)


def test_years_of_prints_and_records_are_possible(listed):
    assert all(1960 <= product.attributes["year"] <= TODAY for product in listed if product.department != BOOKS)


def test_prices_are_plausible(listed):
    for product in listed:
        assert product.price == product.price.quantize(Decimal("0.01"))
        low, high = ("6.99", "24.99") if product.department == BOOKS else ("5.00", "200.00")
        assert Decimal(low) <= product.price <= Decimal(high), product.title


def test_stock_is_never_negative_and_takes_every_form(listed):
    stocks = [product.stock for product in listed]
    assert all(stock is None or stock >= 0 for stock in stocks)
    assert 1 <= stocks.count(0) <= 0.05 * len(stocks)
    assert sum(stock is not None and 0 < stock < 5 for stock in stocks) >= 20
    assert stocks.count(None) >= 20


def test_some_items_are_new_this_year(listed):
    new = sum(product.added_days < catalogue.YEAR_DAYS for product in listed)
    assert 0.08 * len(listed) < new < 0.2 * len(listed)
    assert min(product.added_days for product in listed) >= catalogue.FRESH_DAYS


def test_every_product_stands_on_a_shelf_of_its_department(listed):
    tree = {category.slug: category for category in categories(listed)}
    assert len(tree) == len(categories(listed)), "two categories share a slug"
    assert [slug for slug, category in tree.items() if category.parent is None] == list(DEPARTMENTS)
    assert all(tree[product.category].parent == product.department for product in listed)
    assert all(shelf.name[0].isupper() and "-" not in shelf.name.replace("Ukiyo-e", "") for shelf in tree.values())


def test_every_product_answers_to_an_interest_and_every_interest_to_products(listed):
    answers = affinities(listed)
    assert answers.shape == (len(listed), len(NAMES))
    assert answers.max(axis=1).min() > 0.3
    assert ((answers > 0.5).sum(axis=0) >= 20).all()


def test_interests_cross_departments(listed):
    sea = affinities(listed)[:, NAMES.index("sea")] > 0.8
    assert {product.department for product, near in zip(listed, sea, strict=True) if near} == set(DEPARTMENTS)


def test_departments_share_words(listed):
    by_department = [
        set().union(*(words_of(product) for product in listed if product.department == department))
        for department in DEPARTMENTS
    ]
    assert len(set.intersection(*by_department)) >= 5
