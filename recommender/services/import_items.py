"""A catalogue from a file: new items are made, items that are there take what the file says of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from django.utils import timezone
from django.utils.text import slugify

from recommender.models import Category, Item
from recommender.models.ids import is_external_id
from recommender.services.import_files import as_text, open_table
from recommender.services.importing import (
    Checkpoint,
    ImportResult,
    Outcome,
    Progress,
    Reasons,
    RejectedRows,
    State,
    Stop,
    columns_of,
    import_table,
    rejected_path,
)

FIELDS = ("id", "title", "creator", "description", "category", "price", "stock")
REQUIRED = ("id",)
UPDATED = ("title", "creator", "description", "category", "price", "stock", "attributes", "updated_at")
LONGEST = {"title": 300, "creator": 200, "category": 80}  # characters, as in the tables
MAX_PRICE = Decimal("99999999.99")  # the most that the table's ten digits hold
MAX_STOCK = 2_147_483_647  # pieces; the most that the table's integer holds

BAD_ID = "id not valid: 1 to 128 characters without spaces, slashes, ?, #, % or control characters"
NO_TITLE = "no title: a new item needs one"
TOO_LONG = {name: f"{name} longer than {limit} characters" for name, limit in LONGEST.items()}
BAD_PRICE = (
    f"price is not an amount from 0 to {MAX_PRICE:,}: write digits with a point, such as 12.50, without a currency"
)
BAD_STOCK = "stock is not a whole number from 0: leave it empty where it is not counted"


@dataclass(frozen=True)
class ItemOptions:
    columns: Mapping[str, str] = field(default_factory=dict)
    """Field to the file's column; a field that is not named is looked for under its own name."""
    keep_existing: bool = False
    """Leave items that are in the catalogue as they are, and only make new ones."""

    def resolved(self, there: list[str]) -> dict[str, str]:
        """The columns to read, by field. Raises InvalidInput where one is missing."""
        return columns_of(self.columns, there, FIELDS, REQUIRED)


def import_items(
    path: Path,
    options: ItemOptions,
    *,
    rejected: Path | None = None,
    dry_run: bool = False,
    progress: Progress = lambda *_: None,
    stop: Stop = lambda: False,
) -> ImportResult:
    """Import a file's items; see importing.import_table for resuming. Raises InvalidDataset and InvalidInput.

    An item that is there takes the file's values, also over what staff edited, because the file is the catalogue's
    source; fields that the file leaves empty or out stay as they are. `keep_existing` spares existing items.
    Columns that are no field become attributes. An id that comes again later in the file updates its item again.
    """
    table = open_table(path)
    columns = options.resolved(table.columns)
    writer = _ItemWriter(options, columns, dry_run)
    return import_table(
        table,
        writer.write,
        checkpoint=Checkpoint("items", path, asdict(options)),
        rejected=RejectedRows(rejected_path(rejected, path, path.name), [*table.columns, "text"]),
        columns=table.columns,
        is_written=lambda key: Item.objects.filter(id=key).exists(),
        stage="items",
        dry_run=dry_run,
        progress=progress,
        stop=stop,
    )


class _ItemWriter:
    def __init__(self, options: ItemOptions, columns: Mapping[str, str], dry_run: bool) -> None:
        self._options, self._columns, self._dry_run = options, columns, dry_run

    def write(self, frame: pd.DataFrame, state: State) -> Outcome:
        """Check a chunk's rows, make the items that are new and change those that the file knows better."""
        text = {name: as_text(frame[column]) for name, column in self._columns.items() if column in frame}
        there = Item.objects.in_bulk(text["id"].unique().tolist()) if "id" in text else {}
        reasons = self._reasons(frame.index, text, set(there))
        good = reasons.index[reasons == ""]
        rows: list[Any] = pd.DataFrame(text).loc[good].to_dict("records")
        slugs = self._categories([row.get("category", "") for row in rows], state)
        made: dict[str, Item] = {}
        changed: dict[str, Item] = {}
        counts = state.wrote("items")
        for row, extra in zip(rows, self._attributes(frame.loc[good]), strict=True):
            item_id = row["id"]
            item = made.get(item_id) or there.get(item_id)
            if item is None:
                made[item_id] = item = Item(id=item_id)
                _apply(item, row, slugs, extra)
                counts.add(new=1)
            elif self._options.keep_existing or not _apply(item, row, slugs, extra):
                counts.add(known=1)
            else:
                counts.add(changed=1)
                if item_id not in made:
                    changed[item_id] = item
        if not self._dry_run:
            Item.objects.bulk_create(made.values(), ignore_conflicts=True)
            for item in changed.values():
                item.updated_at = timezone.now()
            Item.objects.bulk_create(
                changed.values(), update_conflicts=True, unique_fields=["id"], update_fields=list(UPDATED)
            )
        return Outcome(reasons, last=rows[-1]["id"] if rows else "")

    def _reasons(self, index: pd.Index, text: Mapping[str, pd.Series], there: set[str]) -> pd.Series:
        """Every row's reason, "" where it is good."""
        reasons, empty = Reasons(index), pd.Series("", index=index, dtype="str")
        refuse = reasons.refuse
        ids = text.get("id", empty)
        refuse(~ids.map(is_external_id).astype(bool), BAD_ID)
        # A second row of an item that this chunk makes may lack the title as well.
        titled = set(ids[text.get("title", empty) != ""])
        refuse((text.get("title", empty) == "") & ~ids.isin(there | titled), NO_TITLE)
        for name, limit in LONGEST.items():
            refuse(text.get(name, empty).str.len() > limit, TOO_LONG[name])
        refuse(
            ~text.get("price", empty).map(lambda value: not value or _price(value) is not None).astype(bool), BAD_PRICE
        )
        refuse(
            ~text.get("stock", empty).map(lambda value: not value or _stock(value) is not None).astype(bool), BAD_STOCK
        )
        return reasons.column

    def _categories(self, names: list[str], state: State) -> dict[str, str]:
        """The slug of each category by its name in lower case; those that are missing are made."""
        wanted = {name.lower(): name for name in names if name}
        slugs = {name.lower(): slug for slug, name in Category.objects.values_list("slug", "name")}
        there = set(slugs.values())
        made = []
        for lower, name in wanted.items():
            if lower in slugs:
                continue
            slug = slugify(name)[:64] or f"category-{sha256(name.encode()).hexdigest()[:8]}"
            if slug not in there:
                made.append(Category(slug=slug, name=name, position=len(there)))
                there.add(slug)
            slugs[lower] = slug
        if not self._dry_run:
            Category.objects.bulk_create(made, ignore_conflicts=True)
        state.wrote("categories").add(new=len(made))
        return slugs

    def _attributes(self, frame: pd.DataFrame) -> list[dict[str, Any]]:
        """The columns that are no field, without empty values, as JSON can hold them."""
        names = [name for name in frame.columns if name not in self._columns.values()]
        cells = zip(*(frame[name] for name in names), strict=True) if names else ([()] * len(frame))
        return [
            {name: value for name, cell in zip(names, row, strict=True) if (value := _plain(cell)) not in ("", None)}
            for row in cells
        ]


def _apply(item: Item, row: Mapping[str, str], slugs: Mapping[str, str], extra: Mapping[str, Any]) -> bool:
    """Set what the row says; True when that changed the item."""
    said: dict[str, Any] = {name: row[name] for name in ("title", "creator", "description") if row.get(name)}
    if row.get("category"):
        said["category_id"] = slugs[row["category"].lower()]
    if row.get("price"):
        said["price"] = _price(row["price"])
    if row.get("stock"):
        said["stock"] = _stock(row["stock"])
    if extra:
        said["attributes"] = item.attributes | extra
    changed = {name: value for name, value in said.items() if getattr(item, name) != value}
    for name, value in changed.items():
        setattr(item, name, value)
    return bool(changed)


def _plain(cell: Any) -> Any:
    """A cell as a value of JSON: lists, mappings, numbers and booleans stay, anything else is a text."""
    if hasattr(cell, "tolist"):  # NumPy's scalars and arrays
        cell = cell.tolist()
    if isinstance(cell, bool | int):
        return cell
    if isinstance(cell, list):
        return [value for part in cell if (value := _plain(part)) is not None]
    if isinstance(cell, dict):
        return {str(name): value for name, part in cell.items() if (value := _plain(part)) is not None}
    if isinstance(cell, float) and cell == cell and abs(cell) != float("inf"):
        return cell
    return as_text(pd.Series([cell], dtype=object))[0] or None


def _price(value: str) -> Decimal | None:
    try:
        amount = Decimal(value)
        return amount.quantize(Decimal("0.01")) if 0 <= amount <= MAX_PRICE else None
    except InvalidOperation:
        return None


def _stock(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdigit() and int(value) <= MAX_STOCK else None
