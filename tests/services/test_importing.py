"""A shop's invoices in the tables: once, twice, stopped and resumed, and over what staff edited."""

import csv
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import Workbook

from recommender.engine.data.cleaning import COLUMNS
from recommender.engine.errors import InvalidDataset
from recommender.models import Category, Event, Item, Order, OrderLine, Visitor
from recommender.services import import_shop as shop
from recommender.services.errors import InvalidInput
from recommender.services.import_shop import import_shop

pytestmark = pytest.mark.django_db
UCI = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")


@pytest.fixture(autouse=True)
def _var(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


def invoices():
    """Eight products in 30 invoices, a cancellation, an anonymous basket, a postage line and a repeated product."""
    at = pd.Timestamp("2011-07-01 12:00")
    rows = [
        (
            str(1000 + n),
            str(22000 + n % 8),
            f"RED MUG {n % 8}",
            2,
            at + pd.Timedelta(hours=n),
            1.5,
            17000 + n % 4,
            "EIRE",
        )
        for n in range(30)
    ]
    rows += [
        ("1001", "22001", "RED MUG 1", 3, at, 1.5, 17001, "EIRE"),  # the same product and price again
        ("1001", "22001", "RED MUG 1", 1, at, 1.25, 17001, "EIRE"),  # and at another price
        ("C2000", "22000", "RED MUG 0", -1, at + pd.Timedelta(days=9), 1.5, 17000, "EIRE"),
        ("2001", "22002", "RED MUG 2", 4, at, 1.5, None, "EIRE"),
        ("2001", "POST", "POSTAGE", 1, at, 18.0, None, "EIRE"),
    ]
    return rows


def parquet(tmp_path):
    path = tmp_path / "transactions.parquet"
    frame = pd.DataFrame(invoices(), columns=list(COLUMNS)).astype({"customer": "Int32"})
    frame.to_parquet(path)
    return path


def workbook(tmp_path):
    path, book = tmp_path / "Online Retail.xlsx", Workbook()
    book.active.append(UCI)
    for invoice, code, *rest in invoices():
        cells = [int(cell) if cell.isdigit() else cell for cell in (invoice, code)]
        rest[2] = rest[2].to_pydatetime()
        book.active.append([*cells, *rest])
    book.save(path)
    return path


def uci_csv(tmp_path, encoding="latin-1", delimiter=","):
    path = tmp_path / "data.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(UCI)
        for invoice, code, text, quantity, at, *rest in invoices():
            writer.writerow(
                [invoice, code, text, quantity, f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute}", *rest]
            )
    return path


def snapshot():
    return {
        "items": sorted(Item.objects.values_list("id", "title", "price", "category_id", "added_at")),
        "visitors": sorted(Visitor.objects.values_list("id", "kind")),
        "orders": sorted(Order.objects.values_list("id", "visitor_id", "placed_at", "total")),
        "lines": sorted(OrderLine.objects.values_list("order_id", "item_id", "quantity", "unit_price")),
        "events": sorted(
            Event.objects.values_list("event_id", "visitor_id", "item_id", "value", "occurred_at", "session")
        ),
    }


def test_a_shop_fills_every_table(tmp_path):
    result = import_shop("online-retail", parquet(tmp_path))
    assert (result.report.read, result.report.kept) == (35, 33)
    assert {name: count.new for name, count in result.written.items()} == {
        "categories": 1, "items": 8, "visitors": 5, "orders": 31, "order lines": 32, "events": 31,
    }  # fmt: skip
    order = Order.objects.get(id="1001")
    assert (order.visitor_id, order.total) == ("17001", Decimal("8.75"))
    assert sorted(order.lines.values_list("quantity", "unit_price")) == [(1, Decimal("1.25")), (5, Decimal("1.50"))]
    event = Event.objects.get(session="1001")
    assert (event.kind, event.value, event.item_id) == ("purchase", 6.0, "22001")
    assert event.occurred_at == datetime(2011, 7, 1, 11, tzinfo=UTC), "the till's clock is on British Summer Time"
    assert Event.objects.get(session="2001").visitor_id == "basket:2001"
    assert Event.objects.get(session="1024").value == 1.0, "one of two units was cancelled"
    item = Item.objects.get(id="22001")
    assert (item.title, item.price, item.category_id) == ("Red Mug 1", Decimal("1.50"), "kitchen-and-dining")
    assert item.attributes == {"colours": ["red"]}
    with result.rejected.open(newline="") as file:
        assert [line["row"] for line in csv.DictReader(file)] == ["33", "35"]


@pytest.mark.parametrize("make", [workbook, uci_csv, lambda path: uci_csv(path, "utf-8-sig", ";")])
def test_every_form_of_the_file_gives_the_same_shop(tmp_path, make):
    import_shop("online-retail", parquet(tmp_path))
    expected = snapshot()
    result = import_shop("online-retail", make(tmp_path))
    assert snapshot() == expected
    assert all(not count.new for count in result.written.values())
    OrderLine.objects.all().delete()
    Event.objects.all().delete()
    Order.objects.all().delete()
    Item.objects.all().delete()
    import_shop("online-retail", make(tmp_path))
    assert snapshot() == expected


def test_twice_is_once_and_what_staff_edited_stays(tmp_path):
    path = parquet(tmp_path)
    import_shop("online-retail", path)
    own = Category.objects.create(slug="own", name="Own")
    Item.objects.filter(id="22001").update(title="Edited", price=9, category=own)
    before = snapshot()
    again = import_shop("online-retail", tmp_path)
    assert snapshot() == before
    assert all(not count.new for count in again.written.values())
    assert {name: count.known for name, count in again.written.items()} == {
        "categories": 1, "items": 8, "visitors": 5, "orders": 31, "order lines": 32, "events": 31,
    }  # fmt: skip


@pytest.mark.parametrize("checkpoint_lost", [False, True])
def test_stopped_and_resumed_is_the_same_as_uninterrupted(tmp_path, monkeypatch, settings, checkpoint_lost):
    path = parquet(tmp_path)
    whole = import_shop("online-retail", path)
    expected = snapshot()
    for model in (OrderLine, Event, Order, Item, Visitor, Category):
        model.objects.all().delete()

    monkeypatch.setattr(shop, "CHUNK_ROWS", 5)
    calls = iter(range(100))
    stopped = import_shop("online-retail", path, stop=lambda: next(calls) >= 4)  # one while reading, then chunks
    assert (stopped.complete, stopped.rows_done, OrderLine.objects.count()) == (False, 15, 15)
    if checkpoint_lost:
        for checkpoint in (settings.VAR_DIR / "imports").glob("*.json"):
            checkpoint.unlink()
    resumed = import_shop("online-retail", path)
    assert snapshot() == expected
    assert resumed.report == whole.report
    if not checkpoint_lost:
        assert resumed.resumed_after == 15 and resumed.written == whole.written
    assert not list((settings.VAR_DIR / "imports").glob("*.json"))


def test_a_checkpoint_of_an_emptied_database_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(shop, "CHUNK_ROWS", 5)
    path, calls = parquet(tmp_path), iter(range(100))
    import_shop("online-retail", path, stop=lambda: next(calls) >= 4)
    for model in (OrderLine, Event, Order, Item, Visitor, Category):
        model.objects.all().delete()
    resumed = import_shop("online-retail", path)
    assert resumed.resumed_after == 0 and Event.objects.count() == 31


def test_stopped_while_reading_writes_nothing(tmp_path):
    result = import_shop("online-retail", parquet(tmp_path), stop=lambda: True)
    assert not result.complete and not Item.objects.exists()


def test_a_dry_run_writes_nothing(tmp_path):
    result = import_shop("online-retail", parquet(tmp_path), dry_run=True)
    assert result.report.kept == 33 and not Item.objects.exists() and result.rejected.is_file()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"not a workbook", "not an Excel workbook"),
        ("a.csv", b"InvoiceNo,StockCode\n1,2\n", "No column description, quantity"),
        ("a.csv", b"InvoiceNo,StockCode\n", "No column"),
        ("a.csv", b"InvoiceNo,StockCode\n1\n", "row 1: a different number of fields"),
        ("a.pdf", b"%PDF", "use a file"),
    ],
)
def test_files_that_are_no_invoices_are_refused(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidDataset, match=message):
        import_shop("online-retail", tmp_path / name)


def test_an_unknown_shop_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no shop 'corner'; there is online-retail"):
        import_shop("corner", tmp_path)
    with pytest.raises(InvalidDataset, match="has none of"):
        import_shop("online-retail", tmp_path)
    with pytest.raises(InvalidDataset, match="There is no file"):
        import_shop("online-retail", tmp_path / "none.xlsx")


def test_the_real_file_through_the_tables(tmp_path):
    folder = Path(os.environ.get("RECSITE_DATA", "")) / "online-retail"
    if not os.environ.get("RECSITE_DATA") or not folder.is_dir():
        pytest.skip("RECSITE_DATA names no folder with online-retail")
    source = pd.read_parquet(folder / "transactions.parquet")
    source[source["invoice"].astype(str).str[-2:] == "65"].to_parquet(tmp_path / "transactions.parquet")
    result = import_shop("online-retail", tmp_path)
    assert Event.objects.count() == result.written["events"].new > 1000
    assert import_shop("online-retail", tmp_path).written["events"].new == 0
    totals = {
        order.id: sum(line.total for line in order.lines.all()) for order in Order.objects.prefetch_related("lines")
    }
    assert totals == dict(Order.objects.values_list("id", "total"))
