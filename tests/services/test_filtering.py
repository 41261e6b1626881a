"""The filter language: what it says, what it refuses, and that an item in memory and the database always agree."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Q
from django.utils import timezone

from recommender.models import Category, Item
from recommender.services import filtering
from recommender.services.errors import InvalidInput
from recommender.services.filtering import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, parse

CONDITIONS = """
category = "prints"
category = "art"
category != "prints"
category in ("books", "sea")
category not in ("art", "nothing-here")
category is empty
category is not empty
id = "item-3"
id in ("item-1", "item-2", "nope")
id contains "ITEM-1"
title = "Blue Sea"
title != "Blue Sea"
title contains "blue"
title contains 'ÉTÉ'
title contains "été"
title contains "100 %"
title contains "_"
title contains "a.b"
title contains "(x) [y] {z} ^$*+?|"
title contains "\\\\"
title contains "\\n"
title contains "\\t"
title contains "'"
title contains '"'
title contains "ß"
title contains "İ"
title contains "日本"
title contains "🐈"
title contains "σ"
not title contains "e"
title not contains "e"
title is empty
creator = ""
creator is empty
creator is not empty
creator = "Ann"
creator = "ann"
creator contains "ANN"
creator in ("Ann", "Bo")
price = 9.5
price = 9.50
price != 9.5
price < 20
price <= 19.99
price > 19.99
price >= 19.99
price in (9.5, 20, 0)
price not in (9.5, 20)
price is empty
price is not empty
not price < 20
not price >= 20
not (price < 20 or price is empty)
not (not price < 20 and not stock > 3)
price < 99999999.99
stock = 0
stock != 0
stock < 5
stock >= 5
stock in (0, 5)
stock <= 2147483647
stock is empty
not stock > 3
in_stock
not in_stock
in_stock = true
in_stock = false
in_stock != true
in_stock in (true, false)
in_stock in (false)
active
not active
active = false
active in (true, false)
added_at < 2026-03-01
added_at <= 2026-03-01
added_at = 2026-03-01
added_at != 2026-03-01
added_at > 2026-03-01
added_at >= 2026-03-01
added_at >= 2026-03-01T12:00
added_at > 2026-03-01T12:00:00Z
added_at <= 2026-03-01T12:00:00+00:00
added_at = 2026-03-01T12:00:00.000000
added_at in (2026-03-01, 2026-02-28)
age_days < 30
age_days <= 30
age_days > 30
age_days >= 30
age_days = 30
age_days in (0, 30)
age_days != 0
tag = "sea"
tag != "sea"
tag in ("sea", "gift")
tag not in ("sea", "gift")
tag has "sea"
tag is empty
tag is not empty
attributes.tags has "sea"
attributes.tags not has "sea"
attributes.tags has 5
attributes.tags has true
attributes.tags = "sea"
attributes.tags contains "SE"
attributes.tags contains "A"
attributes.pages = 5
attributes.pages = 5.0
attributes.pages = "5"
attributes.pages != 5
attributes.pages in (5, "5", true)
attributes.pages < 100
attributes.pages <= 5
attributes.pages > 4.5
attributes.pages >= 0.1
attributes.pages > -1
not attributes.pages < 100
attributes.pages = 0.1
attributes.pages = true
attributes.pages = false
attributes.pages != true
attributes.pages contains "5"
attributes.pages contains "É"
attributes.pages has 5
attributes.pages has "5"
attributes.pages is empty
attributes.pages is not empty
attributes.size.width > 20
attributes.size.width is empty
attributes.size is empty
attributes.size.width.deep is empty
attributes.size.width.deep = 1
attributes.size has 30
attributes."Größe in cm" = "groß"
attributes."Größe in cm" contains "GROSS"
attributes."Größe in cm" contains "GROß"
attributes."0" = 1
attributes."tags"."0" = "sea"
attributes.pages = "日本"
attributes.pages = "a\\"b'c"
attributes.missing is empty
attributes.missing != 1
not attributes.missing = 1
not attributes.missing has 1
not attributes.missing contains "a"
category = "prints" and price < 20
category = "prints" or price < 20
not (category = "prints" or category is empty)
not (category = "art" and not tag = "sea")
in_stock and (price < 20 or tag in ("gift")) and not creator contains "anon"
NOT active OR In_StOcK
""".strip().splitlines()

TITLES = [
    "Blue Sea", "BLUE sea", "L'été à Nice", "ÉTÉ", "100 % linen", "snake_case", "a.b", "axb", "(x) [y] {z} ^$*+?|",
    "back\\slash", "line\nbreak", "tab\there", 'said "so"', "Straße", "STRASSE", "İstanbul", "日本の本",
    "cat 🐈", "ΣΊΣΥΦΟΣ σ ς", "",
]  # fmt: skip
PAGES: list[Any] = [
    5, 5.0, "5", True, False, None, 0, 0.1, 4.999, 100, -3, 2**40, 10**30, "", "é 5", "É", "日本", "a\"b'c", [], {},
    [5], ["5"], [5.0, "x"], [True], [[5]], {"5": 5}, "[]", "{}", "null", "true", [None], [""],
]  # fmt: skip
TAGS: list[Any] = [
    ["sea"], ["gift", "sea"], ["SEA"], "sea", [], "", None, {"sea": "sea"}, [5], [True], [1],
    ["sea", 5, True], ["se a"],
]  # fmt: skip


def catalogue() -> Iterator[Item]:
    """Items with every mixture of what is there, what is missing and what is of another kind."""
    chance = random.Random(11)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    midnight, now = datetime(2026, 3, 1, tzinfo=UTC), timezone.now()
    moments = [
        noon, noon + timedelta(microseconds=1), noon - timedelta(microseconds=1), midnight, noon + timedelta(hours=12),
        midnight - timedelta(microseconds=1), now - timedelta(days=30, hours=1), now - timedelta(days=29, hours=23),
        now - timedelta(days=31, hours=1), now, now + timedelta(days=2), now - timedelta(hours=1),
    ]  # fmt: skip
    for k in range(160):
        attributes: dict[str, Any] = {}
        if k % 8:
            attributes["pages"] = PAGES[k % len(PAGES)]
        if k % 5:
            attributes["tags"] = chance.choice(TAGS)
        if k % 3:
            attributes["size"] = chance.choice([{"width": 30}, {"width": 10.5}, {"width": "30"}, {}, [30], 30, None])
        if k % 4 == 1:
            attributes |= {"Größe in cm": chance.choice(["groß", "GROß", "gross", 5]), "0": 1}
        yield Item(
            id=f"item-{k}",
            title=TITLES[k % len(TITLES)],
            creator=chance.choice(["", "Ann", "ann", "Bo", "Anon"]),
            category_id=chance.choice([None, "art", "prints", "books", "sea"]),
            price=chance.choice([None, *map(Decimal, ("0", "9.50", "19.98", "19.99", "20.00", "99999999.99"))]),
            stock=chance.choice([None, 0, 1, 4, 5, 2_147_483_647]),
            active=chance.random() < 0.7,
            added_at=moments[k % len(moments)],
            attributes=attributes,
        )


@pytest.fixture
def items(db: None) -> list[Item]:
    art = Category.objects.create(slug="art", name="Art")
    for slug, parent in (("prints", art), ("sea", art), ("books", None)):
        Category.objects.create(slug=slug, name=slug, parent=parent)
    Item.objects.bulk_create(catalogue())
    return list(Item.objects.select_related("category").order_by("pk"))


def disagreement(text: str, items: list[Item]) -> str:
    condition = parse(text)
    here = {item.pk for item in items if condition.matches(item)}
    there = set(Item.objects.filter(condition.as_q()).values_list("pk", flat=True))
    shown = [(item.title, item.price, item.stock, item.attributes) for item in items if item.pk in here ^ there]
    return f"{text}: memory {len(here)}, database {len(there)}: {shown[:3]}" if here != there else ""


@pytest.mark.django_db
@pytest.mark.database
def test_memory_and_database_agree(items: list[Item], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(len(CONDITIONS)):
        assert [said for text in CONDITIONS if (said := disagreement(text, items))] == []


@pytest.mark.django_db
@pytest.mark.database
def test_they_agree_on_what_is_put_together_by_chance(items: list[Item]) -> None:
    chance = random.Random(5)

    def some(depth: int) -> str:
        kind = chance.random()
        if depth == 0 or kind < 0.2:
            return chance.choice(CONDITIONS)
        if kind < 0.4:
            return f"not ({some(depth - 1)})"
        word = chance.choice([" and ", " or "])
        return "(" + word.join(some(depth - 1) for _ in range(chance.randint(2, 3))) + ")"

    assert [said for _ in range(100) if (said := disagreement(some(3), items))] == []


@pytest.mark.django_db
@pytest.mark.database
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('category = "art"', {"a", "b"}),  # of the department, or of a category in it
        ('category = "prints"', {"b"}),
        ("price < 20", {"a"}),
        ("not price < 20", {"b", "c"}),  # what has no price is not below 20
        ('creator contains "ANN"', {"a", "b"}),
        ('creator = "ann"', {"b"}),
        ("in_stock", {"b", "c"}),  # not counted: always there
        ('tag in ("x", "gift")', {"c"}),
        ("attributes.signed", None),
        ("attributes.signed = true", {"a"}),
        ("attributes.size.width >= 30", {"b"}),
    ],
)
def test_what_they_mean(text: str, expected: set[str] | None) -> None:
    if expected is None:
        with pytest.raises(InvalidInput, match=r"what attributes\.signed can be asked"):
            parse(text)
        return
    art = Category.objects.create(slug="art", name="Art")
    prints = Category.objects.create(slug="prints", name="Prints", parent=art)
    Item.objects.create(
        id="a", title="A", creator="Ann", category=art, price=Decimal(5), stock=0, attributes={"signed": True}
    )
    Item.objects.create(
        id="b", title="B", creator="ann", category=prints, price=Decimal(20), attributes={"size": {"width": 30}}
    )
    Item.objects.create(id="c", title="C", attributes={"tags": ["gift"], "signed": 1, "size": {"width": "40"}})
    assert set(Item.objects.filter(parse(text).as_q()).values_list("pk", flat=True)) == expected


def test_a_date_is_a_day_of_the_site(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    parse.cache_clear()
    test = parse("added_at = 2026-04-05").matches  # clocks go back that night: the day has 25 hours
    parse.cache_clear()
    low, high = datetime(2026, 4, 4, 11, tzinfo=UTC), datetime(2026, 4, 5, 12, tzinfo=UTC)
    instant = timedelta(microseconds=1)
    assert [test(Item(added_at=at)) for at in (low - instant, low, high - instant, high)] == [False, True, True, False]


REFUSED = [
    ("", 1, "the end", "a field"),
    ("colour = 3", 1, "colour", "a field"),
    ("price = ", 9, "the end", "a price from 0"),
    ("price 20", 7, "20", "what price can be asked: =, !=, <, <=, >, >=, in, is empty"),
    ("price = 19.999", 9, "19.999", "at most two decimals"),
    ("price = -1", 9, "-1", "a price from 0"),
    ("price = 100000000", 9, "100000000", "a price from 0"),
    ("price < 20px", 9, "20px", "a value"),
    ("price < 20 price", 12, "price", '"and", "or" or the end'),
    ("price == 20", 8, "=", "a price"),
    ("stock = 1.5", 9, "1.5", "a whole number"),
    ("stock = 2147483648", 9, "2147483648", "a whole number"),
    ('stock = "5"', 9, '"5"', "a whole number"),
    ('title < "a"', 7, "<", "what title can be asked"),
    ('title contains ""', 16, '""', "a text"),
    ("title = blue", 9, "blue", "a text in quotes"),
    ('title = "abc', 9, '"abc', "ends with its quote"),
    ('title = "a\\q"', 11, "\\q", "one of"),
    ('title is "x"', 10, '"x"', '"empty" or "not empty"'),
    ("id in ()", 8, ")", "a text"),
    ('id in ("a"', 11, "the end", '"," or ")"'),
    ('id in "a"', 7, '"a"', '"(" and the values'),
    ("(active", 8, "the end", '"and", "or" or ")"'),
    ("active)", 7, ")", '"and", "or" or the end'),
    ("active = 1", 10, "1", "true or false"),
    ("active is empty", 11, "empty", "what active can be asked: =, !=, in"),
    ("added_at > 2026-02-30", 12, "2026-02-30", "a date of the calendar"),
    ("added_at > 0001-01-01", 12, "0001-01-01", "from 1900"),
    ('added_at > "2026-02-03"', 12, '"2026-02-03"', "a date such as"),
    ("age_days > 1.5", 12, "1.5", "whole number of days"),
    ("attributes = 3", 12, "=", '"." and the name'),
    ("attributes.5 = 3", 12, "5", "the name of an attribute"),
    ("attributes. = 3", 13, "=", "the name of an attribute"),
    ('attributes."" = 3', 12, '""', "a name of 1 to 64"),
    ("attributes.'a\"b' = 3", 12, "'a\"b'", "without quotes"),
    ("attributes.a.b.c.d.e.f = 3", 22, "f", "at most 5 names"),
    ('attributes.x > "3"', 16, '"3"', "a number"),
    ("attributes.x = 2026-01-01", 16, "2026-01-01", "a text in quotes, a number"),
    ("attributes.x = 1234567890123456", 16, "1234567890123456", "at most 15 digits"),
    ("title.x = 3", 6, ".", "what title can be asked"),
    ("not", 4, "the end", "a field"),
    ("price not 3", 11, "3", "what price can be asked"),
    ("active; drop table", 7, "; drop table", "a sign"),
    ("__import__('os')", 1, "__import__", "a field"),
]


@pytest.mark.parametrize(("text", "column", "found", "expected"), REFUSED)
def test_refusals_say_where_what_and_what_is_allowed(text: str, column: int, found: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    said = refused.value.detail
    assert said.startswith(f"Column {column}: found {found}, expected ")
    assert expected in said
    assert "Fields: id, title, creator, category, price" in said
    assert "attributes.NAME" in said
    assert refused.value.context == {"column": column}


def test_limits() -> None:
    parse(f"price in ({', '.join(['1'] * MAX_TERMS)})")
    parse(f"{'(' * MAX_DEPTH}active{')' * MAX_DEPTH}")
    parse("active" + " " * (MAX_LENGTH - 6))
    for text, said in [
        (f"price in ({', '.join(['1'] * (MAX_TERMS + 1))})", "at most 100 comparisons"),
        (" or ".join(["active"] * (MAX_TERMS + 1)), "at most 100 comparisons"),
        (f"{'(' * (MAX_DEPTH + 1)}active{')' * (MAX_DEPTH + 1)}", "at most 20 parentheses"),
        ("not " * (MAX_DEPTH + 1) + "active", "at most 20 parentheses"),
        ("(" * MAX_LENGTH, "at most 20 parentheses"),
        ("active" + " " * (MAX_LENGTH - 5), "at most 2,000 characters"),
        ('title = "\x00"', "no NUL"),
        ('title = "\ud800"', "no NUL"),
    ]:
        with pytest.raises(InvalidInput, match=said):
            parse(text)


def test_noise_is_refused_and_nothing_worse() -> None:
    chance = random.Random(3)
    words = [
        *filtering.FIELDS, "and", "or", "not", "in", "is", "empty", "has", "contains", "true", "(", ")", ",", ".",
        "=", "!=", "<", ">=", '"a"', "'b'", '"', "\\", "5", "-1.5", "2026-01-01", "2026-01-01T25:00", "é", "\n", "\x00",
        "\ud800", "%s", "🐈", "٣", "1e9", "--", "attributes.x", " ", "9" * 40,
    ]  # fmt: skip
    item = Item(id="x", title="x", attributes={"x": [1]})
    read = 0
    for k in range(3000):
        if k % 3 == 0:
            text = "".join(chr(chance.choice([chance.randrange(128), chance.randrange(0x3000)])) for _ in range(20))
        elif k % 3 == 1:
            text = " ".join(chance.choice(words) for _ in range(chance.randint(1, 8)))
        else:  # a good one with a slip in it
            text = chance.choice(CONDITIONS)
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(["", chance.choice(words)]) + text[at + chance.randint(0, 2) :]
        try:
            condition = parse(text)
        except InvalidInput:
            continue
        assert condition.matches(item) in (True, False)
        assert isinstance(condition.as_q(), Q)
        read += 1
    assert read > 100  # some of it says something after all


@pytest.mark.parametrize("wrong", [None, [], "text", 5])
def test_attributes_that_are_no_object_hold_nothing(wrong: Any) -> None:
    item = Item(id="x", attributes=wrong)
    assert parse("attributes.a is empty and attributes.a.b is empty and tag is empty").matches(item)


def test_it_reads_the_same_text_once() -> None:
    assert parse("price < 17") is parse("price < 17")
