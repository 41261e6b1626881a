"""The index of words follows the tables by itself, in both databases."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection

from recommender.models import Category, Item
from recommender.services.search import lexical
from recommender.services.search.words import split

pytestmark = [pytest.mark.django_db, pytest.mark.database]
migration = import_module("recommender.migrations.0003_search")


def ids(*words, **options):
    return lexical.find([[word] for word in words], 100, **options).item_ids


def test_triggers_are_there(db):
    """A later migration that alters Item or Category on SQLite would drop them: it has to install them again."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'recommender_search%%'")
        else:
            cursor.execute("SELECT DISTINCT tgname FROM pg_trigger WHERE tgname LIKE 'recommender_search%%'")
        assert len(cursor.fetchall()) == 4


def test_what_is_written_is_found_at_once(shelf):
    assert ids("lantern") == []
    item = Item.objects.create(id="new", title="The Lantern")
    assert ids("lantern") == ["new"]
    item.title = "The Candle"
    item.save()
    assert (ids("lantern"), ids("candle")) == ([], ["new"])
    Item.objects.filter(pk="new").update(description="by lantern light")
    assert ids("lantern") == ["new"]
    Item.objects.filter(pk="new").update(active=False)
    assert ids("lantern") == []
    Item.objects.filter(pk="new").update(active=True)
    assert ids("lantern") == ["new"]
    Item.objects.filter(pk="new").delete()
    assert ids("lantern") == []


def test_many_at_once_and_over_what_is_there(shelf):
    rows = [Item(id=f"row-{number}", title=f"Lantern {number}", active=number % 2 == 0) for number in range(10)]
    Item.objects.bulk_create(rows)
    assert len(ids("lantern")) == 5
    for row in rows:
        row.title = "Candle"
    Item.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=["title"])
    assert (len(ids("lantern")), len(ids("candle"))) == (0, 5)
    Item.objects.bulk_create([Item(id="row-0", title="Lantern")], ignore_conflicts=True)
    assert ids("lantern") == []
    for row in rows:
        row.creator = "Wick"
    Item.objects.bulk_update(rows, ["creator"])
    assert len(ids("wick")) == 5
    Item.objects.filter(pk__startswith="row").delete()
    assert ids("candle") == []


def test_stock_and_prices_do_not_touch_the_index(shelf):
    before = lexical.newest_row()
    Item.objects.update(stock=3, price=2)
    item = Item.objects.get(pk="mine")
    item.stock = 1
    item.save()
    assert lexical.newest_row() == before
    item.title = "The Pit"
    item.save()
    assert lexical.newest_row() > before


def test_ids_of_rows_are_never_given_twice(shelf):
    Item.objects.create(id="last", title="Last")
    newest = lexical.newest_row()
    Item.objects.filter(pk="last").delete()
    Item.objects.create(id="next", title="Next")
    assert lexical.rows_after(newest, 10) == [(lexical.newest_row(), "next")]


def test_categories_and_those_above_them_are_searched(shelf):
    everything = {"germinal", "emil", "mine", "mine-2", "straße"}
    assert set(ids("novels")) == set(ids("books")) == everything
    Category.objects.filter(pk="novels").update(name="Stories")
    assert (ids("novels"), set(ids("stories"))) == ([], everything)
    Category.objects.filter(pk="books").update(name="Library")
    assert (ids("books"), set(ids("library"))) == ([], everything)
    Item.objects.filter(pk="mine").update(category=None)
    assert "mine" not in ids("library")


def test_attributes_are_searched(shelf):
    Item.objects.filter(pk="mine").update(attributes={"binding": "hardback", "pages": 90, "tags": ["sooty"]})
    assert ids("hardback") == ids("sooty") == ["mine"]
    assert ids("binding") == []


def test_the_migration_fills_what_is_there(shelf):
    before = set(ids("mine")), set(ids("novels"))
    editor = SimpleNamespace(connection=connection)
    migration.uninstall(None, editor)
    Item.objects.create(id="meanwhile", title="Another mine")
    migration.install(None, editor)
    assert (set(ids("mine")), set(ids("novels"))) == (before[0] | {"meanwhile"}, before[1])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["mines"], {"mine", "mine-2", "germinal"}),  # one stem
        (["zolas"], {"germinal"}),
        (["emile"], {"germinal", "emil"}),  # accents are folded, and Emil is of one stem with Émile
        (["émile"], {"germinal", "emil"}),
        (["ofen"], {"straße"}),
        (["öfen"], {"straße"}),
        (["angstrom"], {"straße"}),
        (["coal", "mine"], {"mine", "mine-2"}),
        (["100"], {"mine-2"}),
        (["coal", "nowhere"], set()),
    ],
)
def test_forms_of_words(shelf, words, found):
    assert set(ids(*words)) == found


def test_any_of_the_terms_and_alternatives_within_one(shelf):
    assert set(ids("berlin", "north", every=False)) == {"emil", "germinal"}
    assert set(lexical.find([["nowhere", "berlin"], ["boy"]], 10).item_ids) == {"emil"}


def test_beginnings_are_of_the_last_term_alone(shelf):
    assert set(ids("germ", prefix=True)) == {"germinal"}
    assert ids("germ") == []
    assert ids("germ", "north", prefix=True) == []


def test_fields(shelf):
    assert ids("germinal", fields=["creator"]) == []
    assert ids("zola", fields=["creator"]) == ["germinal"]
    assert set(ids("mine", fields=["title"])) == {"mine", "mine-2"}
    assert set(ids("wri", prefix=True, fields=["creator", "title"])) == {"mine", "mine-2"}


def test_a_title_is_worth_more_than_a_description(shelf):
    assert ids("mine")[-1] == "germinal"


@pytest.mark.parametrize(
    "word",
    ['"', "''", "\\", "AND", "NEAR(", "*", "a*b", "title:x", ":*", "!x", "x'y", "x\\", "{a}", "^a", "(", "😀", "%",
     "-1", "&|!", "<->", "½", "ª", "東京", "हिन्दी", "ไทย", "x" * 5000, "\u0301", "🏳️‍🌈", "؟", "١٢٣"],
)  # fmt: skip
def test_nothing_is_a_query_language(shelf, word):
    for prefix in (False, True):
        for fields in (tuple(lexical.WEIGHTS), ("title",)):
            assert set(ids(word, "coal", prefix=prefix, fields=fields)) <= {"mine", "mine-2"}
            assert set(ids("coal", word, prefix=prefix, fields=fields)) <= {"mine", "mine-2"}
            assert set(ids("coal", word, prefix=prefix, fields=fields, every=False)) >= {"mine-2"}


@pytest.mark.parametrize(
    "title", ["東京物語", "Война и мир", "हिन्दी कविता", "الحرب والسلام", "Ελληνικά", "ª µ", "AC/DC -5"]
)
def test_every_script_is_found(shelf, title):
    Item.objects.create(id="other", title=title)
    for word in split(title):
        assert ids(word) == ["other"], word


def test_a_huge_description_is_indexed(shelf):
    Item.objects.create(id="huge", title="Lantern", description=" ".join(f"word{number}" for number in range(200_000)))
    assert ids("lantern", "word7") == ["huge"]


def test_limits(shelf):
    assert len(lexical.find([["novels"]], 2)) == 2
    assert len(lexical.find([["novels"]], 10, ranked=3)) == 3
    assert len(lexical.find([], 10)) == len(lexical.find([[""]], 10)) == 0
