"""A real shop's invoices as catalogue, visitors, orders and purchases: UCI's Online Retail, in all its forms."""

import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from django.db import transaction
from django.db.models import Model
from django.utils.text import slugify

from recommender.engine.data.cleaning import COLUMNS, catalogue_of, clean_invoices
from recommender.engine.data.titles import CATEGORIES
from recommender.engine.errors import InvalidDataset
from recommender.models import Category, Event, Item, Order, OrderLine, Visitor
from recommender.services.errors import InvalidInput
from recommender.services.import_files import CHUNK_ROWS, open_table
from recommender.services.importing import (
    NAMESPACE,
    Checkpoint,
    ImportResult,
    Progress,
    RejectedRows,
    State,
    Stop,
    rejected_path,
    rows_of,
)
from recommender.services.people import kind_of

SHOPS = {"online-retail": "Europe/London"}  # the shop's name and the zone of its till
FILES = ("transactions.parquet", "Online Retail.xlsx", "online_retail_II.xlsx", "Online Retail.csv", "data.csv")
# The names that the columns have in UCI's two files and in copies of them, without spaces and in lower case.
NAMES = {
    "invoiceno": "invoice",
    "stockcode": "stock_code",
    "invoicedate": "invoiced_at",
    "unitprice": "unit_price_gbp",
    "price": "unit_price_gbp",
    "customerid": "customer",
}
TELL_EVERY = 5_000  # spreadsheet rows between two reports of progress


def import_shop(
    shop: str,
    path: Path,
    *,
    rejected: Path | None = None,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
    stop: Stop = lambda: False,
) -> ImportResult:
    """Clean a shop's invoices and write what is kept; `path` is the file or its folder.

    Items, categories and orders that are already there stay as they are: staff may have edited them. One purchase event
    is written for each product of an invoice, its id made from both, so that a second import doubles nothing; a stopped
    one goes on after its last chunk. Raises InvalidInput for an unknown shop, InvalidDataset for an unreadable file.
    """
    if shop not in SHOPS:
        raise InvalidInput(f"There is no shop {shop!r}; there is {', '.join(SHOPS)}.")
    source = _source(path)
    target = RejectedRows(rejected_path(rejected, source, shop), COLUMNS)
    frame = _invoices(source, progress, stop)
    if frame is None:
        return ImportResult(State().report, {}, None, complete=False)
    progress("cleaning", 0, len(frame), "row")
    kept, refused, report = clean_invoices(frame)
    progress("cleaning", len(frame), len(frame), "row")
    target.restart()
    if len(refused):
        target.write(refused.astype("object").where(refused.notna(), "").itertuples(index=False, name=None))
    lines = _lines(kept, SHOPS[shop])
    checkpoint = Checkpoint(shop, source, {})
    state = None if dry_run else checkpoint.load()
    if state is None or not (state.last and Event.objects.filter(event_id=state.last).exists()):
        state = State()
    resumed_after, complete = state.rows, True
    if not dry_run:
        if not state.rows:
            with transaction.atomic():
                _write_catalogue(kept, state, SHOPS[shop])
        for start in range(resumed_after, len(lines), CHUNK_ROWS):
            if stop():
                complete = False
                break
            chunk = lines.iloc[start : start + CHUNK_ROWS]
            with transaction.atomic():
                _write_lines(shop, chunk, state)
            state.rows = start + len(chunk)
            checkpoint.save(state)
            progress("writing", state.rows, len(lines), "line")
        if complete:
            checkpoint.clear()
    return ImportResult(report, state.written, target.finish(), complete, resumed_after, state.rows)


def _source(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise InvalidDataset(f"The folder {path} has none of {', '.join(FILES)}; name the file itself.")


def _invoices(path: Path, progress: Progress, stop: Stop) -> pd.DataFrame | None:
    """The file's rows under the names of cleaning.COLUMNS, or None when it was stopped. Raises InvalidDataset."""
    if path.suffix.lower() == ".xlsx":
        frame = _spreadsheet(path, progress, stop)
    else:
        table, parts = open_table(path), []
        for chunk in table.chunks():
            if stop():
                return None
            if chunk.broken:
                broken = chunk.broken[0]
                raise InvalidDataset(f"{path.name}, row {broken.row}: {broken.reason}.")
            parts.append(chunk.frame)
            progress("reading", chunk.done, table.total, table.unit)
        frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=table.columns)
    if frame is None:
        return None
    squeezed = {name: "".join(str(name).lower().split()) for name in frame.columns}
    return frame.rename(
        columns={name: NAMES.get(plain, plain) for name, plain in squeezed.items() if name not in COLUMNS}
    )


def _spreadsheet(path: Path, progress: Progress, stop: Stop) -> pd.DataFrame | None:
    """All sheets of a workbook, row by row: the whole of it as objects would take gigabytes."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    if not path.is_file():
        raise InvalidDataset(f"There is no file {path}.")
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, OSError, ValueError) as error:
        raise InvalidDataset(f"{path.name} is not an Excel workbook: {error}") from error
    parts: list[pd.DataFrame] = []
    try:
        total, done = sum(sheet.max_row or 0 for sheet in book.worksheets), 0
        for sheet in book.worksheets:
            rows = sheet.iter_rows(values_only=True)
            header = [str(cell or f"column {place}") for place, cell in enumerate(next(rows, ()), 1)]
            cells: list[tuple[Any, ...]] = []
            for row in rows:
                done += 1
                if any(cell is not None for cell in row):
                    cells.append(row)
                if done % TELL_EVERY == 0:
                    progress("reading", done, total, "row")
                    if stop():
                        return None
            if cells:
                parts.append(pd.DataFrame(cells, columns=header, dtype=object))
    except (BadZipFile, ParseError, KeyError, ValueError, zlib.error) as error:
        raise InvalidDataset(f"{path.name} is damaged: {error}") from error
    finally:
        book.close()
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _lines(kept: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Kept lines as order lines, one for each (invoice, product, price), in the file's order.

    Adds to each: `order_total` and `order_at` of its invoice, and `bought`, the invoice's units of the product, on the
    first of the product's lines, 0 on the others, so that one purchase makes one event. `new_visitor` and `new_order`
    mark where one appears first, so that each is counted once.
    """
    keys = ["invoice", "stock_code", "unit_price"]
    lines = kept.groupby(keys, sort=False, as_index=False).agg(
        quantity=("quantity", "sum"), visitor=("visitor", "first"), at=("invoiced_at", "min")
    )
    lines["at"] = _aware(lines["at"], zone)
    order = lines.groupby("invoice")
    lines["order_total"] = (lines["quantity"] * lines["unit_price"]).groupby(lines["invoice"]).transform("sum")
    lines["order_at"] = order["at"].transform("min")
    units = lines.groupby(["invoice", "stock_code"])["quantity"].transform("sum")
    lines["new_visitor"], lines["new_order"] = ~lines["visitor"].duplicated(), ~lines["invoice"].duplicated()
    lines["bought"] = units.where(~lines.duplicated(["invoice", "stock_code"]), 0)
    return lines


def _aware(times: pd.Series, zone: str) -> pd.Series:
    """The till's clock in UTC; an hour that the zone skips is moved on, one that it repeats is the first."""
    aware = times.dt.tz_localize(zone, ambiguous=np.ones(len(times), dtype=bool), nonexistent="shift_forward")
    return aware.dt.tz_convert("UTC")


def _write_catalogue(kept: pd.DataFrame, state: State, zone: str) -> None:
    catalogue = catalogue_of(kept)
    slugs = {name: slugify(name.replace("&", "and")) for name in CATEGORIES}
    used = [name for name in CATEGORIES if (catalogue["category"] == name).any()]
    _insert_missing(
        state,
        "categories",
        Category,
        {slugs[name]: Category(slug=slugs[name], name=name, position=place) for place, name in enumerate(used)},
    )
    added = _aware(catalogue["first_sold_at"], zone)
    items = {
        row.Index: Item(
            id=row.Index,
            title=row.title,
            category_id=slugs[row.category],
            price=_money(row.price),
            attributes=row.attributes,
            added_at=first.to_pydatetime(),
        )
        for row, first in zip(rows_of(catalogue), added, strict=True)
    }
    for keys in _chunks(list(items)):
        _insert_missing(state, "items", Item, {key: items[key] for key in keys})


def _write_lines(shop: str, chunk: pd.DataFrame, state: State) -> None:
    """The visitors, orders, order lines and purchase events of one chunk of lines."""
    started_at = datetime.fromisoformat(state.started_at)
    visitors = {visitor: Visitor(id=visitor, kind=kind_of(visitor)) for visitor in chunk["visitor"].unique()}
    _insert_missing(state, "visitors", Visitor, visitors, counted=chunk.loc[chunk["new_visitor"], "visitor"])
    orders = {
        row.invoice: Order(
            id=row.invoice,
            visitor_id=row.visitor,
            placed_at=row.order_at.to_pydatetime(),
            total=_money(row.order_total),
        )
        for row in rows_of(chunk.drop_duplicates("invoice"))
    }
    _insert_missing(state, "orders", Order, orders, counted=chunk.loc[chunk["new_order"], "invoice"])
    there = set(OrderLine.objects.filter(order_id__in=list(orders)).values_list("order_id", "item_id", "unit_price"))
    lines = [
        OrderLine(
            order_id=row.invoice, item_id=row.stock_code, quantity=row.quantity, unit_price=_money(row.unit_price)
        )
        for row in rows_of(chunk)
    ]
    new_lines = [line for line in lines if (line.order_id, line.item_id, line.unit_price) not in there]
    OrderLine.objects.bulk_create(new_lines, ignore_conflicts=True)
    state.wrote("order lines").add(new=len(new_lines), known=len(lines) - len(new_lines))
    events: dict[Any, Model] = {}
    for row in rows_of(chunk[chunk["bought"] > 0]):
        event_id = uuid.uuid5(NAMESPACE, f"{shop}/{row.invoice}/{row.stock_code}")
        events[event_id] = Event(
            event_id=event_id,
            kind=Event.Kind.PURCHASE,
            visitor_id=row.visitor,
            item_id=row.stock_code,
            value=float(row.bought),
            occurred_at=row.at.to_pydatetime(),
            received_at=started_at,
            session=row.invoice,
        )
    _insert_missing(state, "events", Event, events, key="event_id")
    if events:
        state.last = str(next(reversed(events)))


def _insert_missing(
    state: State,
    table: str,
    model: type[Model],
    rows: Mapping[Any, Any],
    *,
    key: str = "pk",
    counted: Collection[Any] | None = None,
) -> None:
    """Insert the rows whose key is not there; those that are stay as they are.

    `counted` are the keys that appear for the first time, all of them by default: the others were counted before.
    """
    there = set(model._default_manager.filter(**{f"{key}__in": list(rows)}).values_list(key, flat=True))
    new = [row for name, row in rows.items() if name not in there]
    model._default_manager.bulk_create(new, ignore_conflicts=True)
    known = len(rows if counted is None else counted) - len(new)
    state.wrote(table).add(new=len(new), known=max(known, 0))


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    yield from (keys[start : start + CHUNK_ROWS] for start in range(0, len(keys), CHUNK_ROWS))


def _money(amount: float) -> Decimal:
    return Decimal(f"{amount:.2f}")
