"""A shop's raw invoice lines as purchases: what is kept, what is dropped, and why; nothing is lost without a reason."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recommender.engine.data.titles import attributes_of, categories_of, titles_of
from recommender.engine.errors import InvalidDataset

COLUMNS = ("invoice", "stock_code", "description", "quantity", "invoiced_at", "unit_price_gbp", "customer", "country")

# Five digits and up to two letters (85123A, 15056BL); DCGS... are the shop's own goods (party bags, an ashtray, a dog's
# collar), sold under codes of their own. Anything else is a service: POST, DOT, M, D, C2, S, BANK CHARGES, AMAZONFEE,
# CRUK, B, PADS, gift_0001_20.
PRODUCT_CODE = r"\d{5}[A-Z]{0,2}|DCGS[A-Z0-9]+"
# Services that carry a product's code: 23444, 23574, 22016.
SERVICE = r"next day carriage|packing charge|gift voucher"
ID = r"[^\s/\\?#%]{1,64}"  # an invoice's or a customer's number
MAX_QUANTITY = 10_000  # units of one line; the largest real order has 4,300, the absurd ones 74,215 and 80,995
MIN_PRICE, MAX_PRICE = 0.01, 10_000.0  # pounds a unit; goods cost 0.04 to 650, fees are booked at up to 38,970

NO_ID = "no invoice number or stock code, or one that is no id"
DUPLICATE = "duplicate: the same line again"
NOT_A_PRODUCT = "non-product code (postage, fee, discount, voucher, manual entry)"
BAD_TIME = "date cannot be read"
MATCHED = "cancellation, taken off its purchase"
UNMATCHED = "cancellation without an earlier purchase"
CORRECTION = "stock correction (negative quantity, no customer)"
CANCELLED = "purchase cancelled in full"
BAD_QUANTITY = f"impossible quantity (zero, not whole, or above {MAX_QUANTITY:,})"
BAD_PRICE = f"impossible price (below {MIN_PRICE} or above {MAX_PRICE:,.0f})"
NO_DESCRIPTION = "no description on any line of the product"

ANONYMOUS = "without a customer: kept as anonymous baskets"
REDUCED = "quantity reduced by a cancellation"


@dataclass
class CleaningReport:
    """What became of the rows that were read. Every row is kept or dropped for one cause: `read` is the sum of both."""

    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Rows by cause, in the order in which the causes are looked for."""
    notes: dict[str, int] = field(default_factory=dict)
    """Rows among the kept ones that deserve a line."""

    def drop(self, cause: str, rows: int) -> None:
        if rows:
            self.dropped[cause] = self.dropped.get(cause, 0) + int(rows)

    def table(self) -> str:
        """The report as aligned lines: label, rows, share of the rows read."""
        lines = list(self._lines())
        width = max(len(label) for label, _ in lines)
        return "\n".join(f"{label:<{width}}  {rows:>12,}  {self._share(rows)}" for label, rows in lines)

    def _lines(self) -> Iterator[tuple[str, int]]:
        yield "Rows read", self.read
        yield "Kept", self.kept
        yield from ((f"  {note}", rows) for note, rows in self.notes.items())
        yield "Dropped", sum(self.dropped.values())
        yield from ((f"  {cause}", rows) for cause, rows in self.dropped.items())

    def _share(self, rows: int) -> str:
        return f"{rows / self.read:>7.2%}" if self.read else " " * 7


def clean_invoices(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, CleaningReport]:
    """Invoice lines (E rows, the columns of COLUMNS) as (kept lines, rejected rows, report).

    Kept lines: row (place in `frame`, from 1), invoice, stock_code (upper case), description, quantity (int64, what is
    left after cancellations), invoiced_at, unit_price (pounds, to the penny), visitor (the customer's number, or
    `basket:<invoice>` where there is none), country. Rejected rows are row, reason, and COLUMNS as they came.

    A cancellation (an invoice C..., or a negative quantity of a known customer) takes its units off the customer's
    latest earlier purchase of the same code, then off the one before, while units are left. One that finds nothing was
    bought before the file begins. A line without a description is kept where another line names its product.
    Raises InvalidDataset when a column is missing or there are no rows.
    """
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise InvalidDataset(f"No column {', '.join(missing)}; there are {', '.join(map(str, frame.columns))}.")
    if frame.empty:
        raise InvalidDataset("There are no rows.")
    lines = _typed(frame)
    causes = _Causes(len(lines))
    causes.add(NO_ID, ~lines["invoice"].str.fullmatch(ID) | (lines["stock_code"] == ""))
    causes.add(NO_ID, ~lines["customer"].str.fullmatch(f"(?:{ID})?"))
    causes.add(DUPLICATE, lines.drop(columns="row").duplicated())
    services = lines["description"].str.contains(SERVICE, case=False, regex=True)
    causes.add(NOT_A_PRODUCT, ~lines["stock_code"].str.fullmatch(PRODUCT_CODE) | services)
    causes.add(BAD_TIME, lines["invoiced_at"].isna())

    cancelling = lines["invoice"].str.upper().str.startswith("C") | (lines["quantity"] < 0)
    anonymous = lines["customer"] == ""
    causes.add(CORRECTION, cancelling & anonymous & ~lines["invoice"].str.upper().str.startswith("C"))
    quantity = lines["quantity"]
    causes.add(BAD_QUANTITY, ~np.isfinite(quantity) | (quantity == 0) | (quantity % 1 != 0))
    causes.add(BAD_PRICE, ~cancelling & ~lines["unit_price"].between(MIN_PRICE, MAX_PRICE))
    open_ = causes.open
    named = open_ & ~cancelling.to_numpy() & (lines["description"] != "").to_numpy()
    unnamed = ~lines["stock_code"].isin(lines.loc[named, "stock_code"].unique())
    causes.add(NO_DESCRIPTION, ~cancelling & unnamed)

    matchable = causes.open & ~anonymous.to_numpy()
    left, taken = _match(lines[matchable], cancelling[matchable])
    remaining = quantity.to_numpy(dtype=np.float64, copy=True)
    remaining[matchable] = left
    found = np.zeros(len(lines), dtype=bool)
    found[matchable] = taken > 0
    causes.add(MATCHED, cancelling & found)
    causes.add(UNMATCHED, cancelling)
    causes.add(CANCELLED, remaining == 0)
    # Only now: an absurd order that was cancelled at once is a cancelled order, and its cancellation has been matched.
    causes.add(BAD_QUANTITY, remaining > MAX_QUANTITY)

    keep = causes.open
    kept = lines[keep].drop(columns="customer")
    kept["quantity"] = remaining[keep].astype(np.int64)
    kept["visitor"] = lines["customer"].where(~anonymous, "basket:" + lines["invoice"])[keep]
    report = CleaningReport(read=len(lines), kept=len(kept))
    for cause, rows in causes.counts():
        report.drop(cause, rows)
    report.notes[ANONYMOUS] = int((keep & anonymous.to_numpy()).sum())
    report.notes[REDUCED] = int((keep & (remaining < quantity.to_numpy())).sum())
    rejected = frame.loc[~keep, list(COLUMNS)].copy()
    rejected.insert(0, "row", lines["row"].to_numpy()[~keep])
    rejected.insert(1, "reason", causes.reasons()[~keep])
    return kept.reset_index(drop=True), rejected.reset_index(drop=True), report


def catalogue_of(kept: pd.DataFrame) -> pd.DataFrame:
    """The products of kept lines, by stock_code: title, price (median, pounds), category, attributes, first_sold_at."""
    titles = titles_of(kept["stock_code"], kept["description"])
    by_code = kept.groupby("stock_code")
    return pd.DataFrame(
        {
            "title": titles,
            "price": by_code["unit_price"].median().round(2),
            "category": categories_of(titles),
            "attributes": attributes_of(titles),
            "first_sold_at": by_code["invoiced_at"].min(),
        }
    )


class _Causes:
    """The first cause that was found for each row (E,), as the place of its text in a list; -1 where there is none."""

    def __init__(self, rows: int) -> None:
        self._texts: list[str] = []
        self._places = np.full(rows, -1, dtype=np.int8)

    @property
    def open(self) -> NDArray[np.bool_]:
        return self._places < 0

    def add(self, cause: str, mask: "pd.Series | NDArray[np.bool_]") -> None:
        if cause not in self._texts:
            self._texts.append(cause)
        self._places[self.open & np.asarray(mask, dtype=bool)] = self._texts.index(cause)

    def counts(self) -> list[tuple[str, int]]:
        return [(text, int((self._places == place).sum())) for place, text in enumerate(self._texts)]

    def reasons(self) -> NDArray[np.object_]:
        return np.array([*self._texts, ""], dtype=object)[self._places]


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns as texts, numbers and times; what cannot be read is empty, NaN or NaT."""
    return pd.DataFrame(
        {
            "row": np.arange(1, len(frame) + 1),
            "invoice": _text(frame["invoice"]),
            "stock_code": _text(frame["stock_code"]).str.upper(),
            "description": _text(frame["description"]),
            "quantity": pd.to_numeric(frame["quantity"], errors="coerce").astype(np.float64).to_numpy(),
            "invoiced_at": _times(frame["invoiced_at"]).to_numpy(),
            "unit_price": pd.to_numeric(frame["unit_price_gbp"], errors="coerce")
            .astype(np.float64)
            .round(2)
            .to_numpy(),
            "customer": _text(frame["customer"]),
            "country": _text(frame["country"]),
        }
    )


def _text(column: pd.Series) -> pd.Series:
    """A column as stripped text, "" where there is none; 17850.0, a spreadsheet's number, is 17850."""
    text = column.astype("string").str.strip().fillna("").str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    return text.astype("str").reset_index(drop=True)


def _times(column: pd.Series) -> pd.Series:
    """A column as the shop's wall clock, without zone; NaT where it cannot be read.

    Texts are ISO 8601, or 12/31/2010 8:26 as in the CSV that circulates of this file; where a month above 12 shows that
    the day comes first, it is read so throughout.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None)
    text = column.astype("string").str.strip()
    times = pd.to_datetime(text, format="ISO8601", errors="coerce")
    rest = times.isna() & text.notna()
    if rest.any():
        slashed = text[rest].str.replace(r"[-.]", "/", regex=True)
        tries = [_first(slashed, (f"{order} %H:%M", f"{order} %H:%M:%S", order)) for order in ("%m/%d/%Y", "%d/%m/%Y")]
        times[rest] = max(tries, key=lambda read: int(read.notna().sum()))
    return times


def _first(text: pd.Series, formats: tuple[str, ...]) -> pd.Series:
    """The times that the first fitting format reads."""
    found = pd.to_datetime(text, format=formats[0], errors="coerce")
    for name in formats[1:]:
        found = found.fillna(pd.to_datetime(text, format=name, errors="coerce"))
    return found


def _match(lines: pd.DataFrame, cancelling: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take cancellations off purchases, last in first out within (customer, code), in time order.

    Returns two columns (E,): the units left of each purchase, and the units that each cancellation found.

    Purchases are pushes on a stack of units and cancellations pops, so no loop is needed. With S the running sum of
    signed units and H = S - min(0, running min of S) the height of the stack, a pop at height H' finds min(units, H'),
    and a push from height H' keeps the units that lie below the lowest height that follows it.
    """
    work = pd.DataFrame(
        {
            "pair": lines.groupby(["customer", "stock_code"]).ngroup().to_numpy(),
            "time": lines["invoiced_at"].to_numpy(),
            "pop": cancelling.to_numpy(dtype=bool),
            "units": lines["quantity"].abs().to_numpy(),
        }
    )
    # At one moment purchases come first: a cancellation of the same minute may mean them.
    work = work.sort_values(["pair", "time", "pop"], kind="stable")
    signed = work["units"].where(~work["pop"], -work["units"])
    running = signed.groupby(work["pair"]).cumsum()
    height = running - running.groupby(work["pair"]).cummin().clip(upper=0)
    before = height.groupby(work["pair"]).shift(1, fill_value=0.0)
    lowest = height[::-1].groupby(work["pair"][::-1]).cummin()[::-1]
    left = (height.where(height < lowest, lowest) - before).clip(lower=0).where(~work["pop"], 0.0)
    found = work["units"].where(work["units"] < before, before).where(work["pop"], 0.0)
    return left.sort_index().to_numpy(), found.sort_index().to_numpy()
