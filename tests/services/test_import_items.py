"""A catalogue from a file: made, updated, left alone, and refused with a reason."""

import csv
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from recommender.models import Category, Item
from recommender.services import import_files
from recommender.services import import_items as items
from recommender.services.errors import InvalidInput
from recommender.services.import_items import ItemOptions, import_items

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _var(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


def csv_of(tmp_path, text):
    path = tmp_path / "items.csv"
    path.write_text(text)
    return path


def test_items_categories_and_attributes_are_made(tmp_path):
    path = csv_of(
        tmp_path,
        "sku,title,category,price,stock,colour,size\n"
        "m1,Mug,Kitchen & dining,12.5,3,red,\nm2,Cup,kitchen & DINING,,,,L\n",
    )
    result = import_items(path, ItemOptions(columns={"id": "sku"}))
    mug, cup = Item.objects.order_by("title").reverse()
    assert (mug.title, mug.price, mug.stock, mug.attributes) == ("Mug", Decimal("12.50"), 3, {"colour": "red"})
    assert (cup.price, cup.stock, cup.attributes) == (None, None, {"size": "L"})
    assert Category.objects.get().slug == "kitchen-dining" == mug.category_id == cup.category_id
    assert (result.written["items"].new, result.written["categories"].new) == (2, 1)


def test_an_item_that_is_there_takes_what_the_file_says_and_keeps_the_rest(tmp_path):
    Item.objects.create(id="m1", title="Old", creator="Ana", price=1, stock=9, attributes={"size": "L"})
    before = Item.objects.get().updated_at
    path = csv_of(tmp_path, "id,title,price,stock,colour\nm1,New,2,,red\n")
    assert import_items(path, ItemOptions()).written["items"].changed == 1
    item = Item.objects.get()
    assert (item.title, item.creator, item.price, item.stock) == ("New", "Ana", Decimal(2), 9)
    assert item.attributes == {"size": "L", "colour": "red"} and item.updated_at > before
    again = import_items(path, ItemOptions()).written["items"]
    assert (again.new, again.changed, again.known) == (0, 0, 1)


def test_existing_items_can_be_spared(tmp_path):
    Item.objects.create(id="m1", title="Old")
    import_items(csv_of(tmp_path, "id,title\nm1,New\nm2,Two\n"), ItemOptions(keep_existing=True))
    assert dict(Item.objects.values_list("id", "title")) == {"m1": "Old", "m2": "Two"}


def test_every_row_is_kept_or_refused_with_a_reason(tmp_path):
    expected = [
        ("good,Mug,1", ""),
        ("good,,3", ""),  # an item that this file made needs no title again
        ("bad id,Mug,1", items.BAD_ID),
        (",Mug,1", items.BAD_ID),
        ("m3,,1", items.NO_TITLE),
        (f"m4,{'x' * 301},1", items.TOO_LONG["title"]),
        ("m5,Mug,£1", items.BAD_PRICE),
        ("m6,Mug,-1", items.BAD_PRICE),
        ("m7,Mug,NaN", items.BAD_PRICE),
        ("m8,Mug,1e30", items.BAD_PRICE),
    ]
    result = import_items(
        csv_of(tmp_path, "\n".join(["id,title,price", *(line for line, _ in expected)])), ItemOptions()
    )
    with result.rejected.open(newline="") as file:
        found = {int(line["row"]): line["reason"] for line in csv.DictReader(file)}
    assert found == {place: reason for place, (_, reason) in enumerate(expected, 1) if reason}
    assert result.report.read == len(expected) == result.report.kept + sum(result.report.dropped.values())
    assert Item.objects.get().price == 3
    stock = import_items(
        csv_of(tmp_path, "id,title,stock\na,A,-1\nb,B,1.5\nc,C,99999999999\nd,D,٣\ne,E,4"), ItemOptions()
    )
    assert stock.report.dropped == {items.BAD_STOCK: 4}


def test_json_keeps_the_types_of_attributes(tmp_path):
    path = tmp_path / "items.jsonl"
    lines = [{"id": 1, "title": "A", "tags": ["x", None], "year": 1855, "x": {"y": float("nan")}, "z": True, "w": 1.5}]
    path.write_text("\n".join(map(json.dumps, [*lines, {"id": 2, "title": "B", "later": "column"}])))
    import_items(path, ItemOptions())
    assert Item.objects.get(id="1").attributes == {"tags": ["x"], "year": 1855, "x": {}, "z": True, "w": 1.5}
    assert Item.objects.get(id="2").attributes == {"later": "column"}


def test_parquet_lists_and_numbers_become_json(tmp_path):
    path = tmp_path / "items.parquet"
    frame = {"id": [1, 2], "title": ["A", "B"], "tags": [["x"], None], "n": np.array([1, 2]), "f": [0.5, np.nan]}
    pd.DataFrame(frame).to_parquet(path)
    import_items(path, ItemOptions())
    found = dict(Item.objects.values_list("id", "attributes"))
    assert found == {"1": {"tags": ["x"], "n": 1, "f": 0.5}, "2": {"n": 2}}


def test_a_category_whose_name_has_no_latin_letters_gets_a_slug(tmp_path):
    import_items(csv_of(tmp_path, "id,title,category\na,A,茶\nb,B,茶\n"), ItemOptions())
    assert Category.objects.get().slug.startswith("category-")


def test_wrong_columns_are_refused_with_what_there_is(tmp_path):
    path = csv_of(tmp_path, "sku,title\n1,A\n")
    with pytest.raises(InvalidInput, match="No column for id; the file has sku, title"):
        import_items(path, ItemOptions())
    with pytest.raises(InvalidInput, match="no field colour"):
        import_items(path, ItemOptions(columns={"colour": "title"}))


def test_stopped_and_resumed_and_dry(tmp_path, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 4)
    path = csv_of(tmp_path, "id,title\n" + "".join(f"i{n},Item {n}\n" for n in range(10)))
    assert import_items(path, ItemOptions(), dry_run=True).written["items"].new == 10
    assert not Item.objects.exists()
    calls = iter(range(100))
    assert not import_items(path, ItemOptions(), stop=lambda: next(calls) >= 1).complete
    assert Item.objects.count() == 4
    resumed = import_items(path, ItemOptions())
    assert (resumed.resumed_after, resumed.report.kept, resumed.written["items"].new) == (4, 10, 10)
    assert Item.objects.count() == 10
