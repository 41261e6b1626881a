"""Cleaning: every cause in a small frame, cancellations against a stack kept by hand, and the real file where it is."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.engine.data import cleaning
from recommender.engine.data.cleaning import COLUMNS, catalogue_of, clean_invoices
from recommender.engine.data.titles import attributes_of, categories_of, title_case
from recommender.engine.errors import InvalidDataset

MUG, BAG = "22423", "85123A"


def line(
    invoice="536365", code=MUG, description="RED  MUG ", quantity=6, at="2010-12-01 08:26", price=2.5, customer="17850"
):
    return (invoice, code, description, quantity, at, price, customer, "United Kingdom")


def frame(*lines):
    return pd.DataFrame(lines, columns=list(COLUMNS))


def reasons(rejected):
    return dict(zip(rejected["row"], rejected["reason"], strict=True))


def test_every_cause_is_found_and_the_counts_add_up():
    data = frame(
        line(),  # 1 kept
        line(),  # 2 duplicate
        line(invoice=""),  # 3
        line(code="POST", description="POSTAGE"),  # 4
        line(code="gift_0001_20", description="Dotcomgiftshop Gift Voucher £20.00"),  # 5
        line(code="23444", description="Next Day Carriage"),  # 6
        line(invoice="2", at="yesterday"),  # 7
        line(invoice="3", quantity=-4, customer=None, price=0),  # 8 stock correction
        line(invoice="4", quantity=0),  # 9
        line(invoice="5", quantity=1.5),  # 10
        line(invoice="6", quantity=80_995),  # 11
        line(invoice="7", price=0),  # 12
        line(invoice="8", price=np.nan),  # 13
        line(invoice="9", price=38_970),  # 14
        line(invoice="10", code="99999", description=None),  # 15
        line(invoice="C11", quantity=-6, at="2010-11-30 10:00"),  # 16: before the purchase
        line(invoice="12", customer=None, code=MUG.lower()),  # 17 kept, anonymous
        line(invoice="13", description=None),  # 18 kept: another line names the product
        line(invoice="14", code="DCGS0003", description="BOXED GLASS ASHTRAY"),  # 19 kept
        line(invoice="15/16"),  # 20
        line(invoice="17", customer="no one"),  # 21
    )
    kept, rejected, report = clean_invoices(data)
    assert reasons(rejected) == {
        2: cleaning.DUPLICATE,
        3: cleaning.NO_ID,
        4: cleaning.NOT_A_PRODUCT,
        5: cleaning.NOT_A_PRODUCT,
        6: cleaning.NOT_A_PRODUCT,
        7: cleaning.BAD_TIME,
        8: cleaning.CORRECTION,
        9: cleaning.BAD_QUANTITY,
        10: cleaning.BAD_QUANTITY,
        11: cleaning.BAD_QUANTITY,
        12: cleaning.BAD_PRICE,
        13: cleaning.BAD_PRICE,
        14: cleaning.BAD_PRICE,
        15: cleaning.NO_DESCRIPTION,
        16: cleaning.UNMATCHED,
        20: cleaning.NO_ID,
        21: cleaning.NO_ID,
    }
    assert kept["row"].tolist() == [1, 17, 18, 19]
    assert kept["visitor"].tolist() == ["17850", "basket:12", "17850", "17850"]
    assert report.read == len(data) == report.kept + sum(report.dropped.values())
    assert report.notes[cleaning.ANONYMOUS] == 1
    assert list(rejected.columns) == ["row", "reason", *COLUMNS]


def test_a_cancellation_reduces_the_latest_earlier_purchase_first():
    data = frame(
        line(invoice="1", quantity=5, at="2011-01-01"),
        line(invoice="2", quantity=3, at="2011-01-02"),
        line(invoice="C3", quantity=-4, at="2011-01-03"),
        line(invoice="4", quantity=2, at="2011-01-04"),
        line(invoice="5", quantity=9, at="2011-01-04", customer="another"),
    )
    kept, rejected, report = clean_invoices(data)
    assert dict(zip(kept["invoice"], kept["quantity"], strict=True)) == {"1": 4, "4": 2, "5": 9}
    assert reasons(rejected) == {2: cleaning.CANCELLED, 3: cleaning.MATCHED}
    assert report.notes[cleaning.REDUCED] == 1


def test_an_absurd_order_that_was_cancelled_at_once_is_a_cancelled_order():
    data = frame(
        line(invoice="1", quantity=74_215, at="2011-01-18 10:01"),
        line(invoice="C2", quantity=-74_215, at="2011-01-18 10:17"),
    )
    kept, rejected, _ = clean_invoices(data)
    assert kept.empty
    assert reasons(rejected) == {1: cleaning.CANCELLED, 2: cleaning.MATCHED}


def test_a_cancellation_without_a_customer_is_matched_to_nothing():
    data = frame(line(customer=None), line(invoice="C2", quantity=-1, customer=None, at="2011-01-01"))
    kept, rejected, _ = clean_invoices(data)
    assert kept["quantity"].tolist() == [6]
    assert reasons(rejected) == {2: cleaning.UNMATCHED}


def stacked(lines):
    """The same by hand: units left of each purchase and found by each cancellation, over one stack for each pair."""
    left, found = np.zeros(len(lines)), np.zeros(len(lines))
    order = sorted(range(len(lines)), key=lambda row: (lines[row][0], lines[row][2], lines[row][3] < 0, row))
    stacks: dict = {}
    for row in order:
        pair, units = lines[row][0], abs(lines[row][3])
        stack = stacks.setdefault(pair, [])
        if lines[row][3] > 0:
            stack.append(row)
            left[row] = units
            continue
        while units and stack:
            taken = min(units, left[stack[-1]])
            units, left[stack[-1]], found[row] = units - taken, left[stack[-1]] - taken, found[row] + taken
            if not left[stack[-1]]:
                stack.pop()
    return left, found


@pytest.mark.parametrize("seed", range(20))
def test_matching_equals_a_stack_kept_by_hand(seed):
    rng = np.random.default_rng(seed)
    rows = [
        (str(rng.integers(3)), MUG, int(rng.integers(30)), int(rng.choice([-7, -3, -2, -1, 1, 2, 4, 8])))
        for _ in range(200)
    ]
    lines = pd.DataFrame(
        {
            "customer": [row[0] for row in rows],
            "stock_code": MUG,
            "invoiced_at": pd.to_datetime("2011-01-01") + pd.to_timedelta([row[2] for row in rows], unit="h"),
            "quantity": [float(row[3]) for row in rows],
        }
    )
    left, found = cleaning._match(lines, lines["quantity"] < 0)
    expected_left, expected_found = stacked(rows)
    np.testing.assert_array_equal(left, expected_left)
    np.testing.assert_array_equal(found, expected_found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2010-12-01T08:26:00", "2010-12-01 08:26"),
        ("12/1/2010 8:26", "2010-12-01 08:26"),
        ("31/12/2010 08:26", "2010-12-31 08:26"),
        ("31-12-2010 08:26", "2010-12-31 08:26"),
    ],
)
def test_times_in_the_forms_the_file_circulates_in(text, expected):
    kept, _, _ = clean_invoices(frame(line(at=text)))
    assert kept["invoiced_at"][0] == pd.Timestamp(expected)


def test_spreadsheet_numbers_are_ids():
    kept, _, _ = clean_invoices(frame(line(invoice=536365, code=22423, customer=17850.0), line(customer=None)))
    assert kept["invoice"].tolist() == ["536365", "536365"]
    assert kept["visitor"].tolist() == ["17850", "basket:536365"]


def test_a_catalogue_takes_the_most_frequent_title_and_the_median_price():
    data = frame(
        line(invoice="1", code=BAG, description="JUMBO BAG  RED ", price=1.0),
        line(invoice="2", code=BAG.lower(), description="JUMBO BAG RED", price=2.0),
        line(invoice="3", code=BAG, description="A BAG, JUMBO", price=9.0),
    )
    catalogue = catalogue_of(clean_invoices(data)[0])
    assert catalogue.index.tolist() == [BAG]
    row = catalogue.loc[BAG]
    assert (row["title"], row["price"], row["category"]) == ("Jumbo Bag Red", 2.0, "Bags & accessories")
    assert row["attributes"] == {"colours": ["red"]}


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "White Hanging Heart T-Light Holder"),
        ("SET OF 3 CHILDREN'S TINS 20CM", "Set of 3 Children's Tins 20cm"),
        ("50'S CHRISTMAS BAG 40X40CM", "50's Christmas Bag 40x40cm"),
        ("GOLD M.O.P ORBIT EARRINGS", "Gold M.O.P Orbit Earrings"),
        ("NOTEBOOK A5 SIZE", "Notebook A5 Size"),
        ("LED TEA LIGHTS", "LED Tea Lights"),
        ("THE KING GIFT BAG", "The King Gift Bag"),
    ],
)
def test_titles_read_well(raw, title):
    assert title_case(raw) == title


def test_categories_and_attributes_come_from_whole_words():
    titles = pd.Series(["Christmas Tree Candle", "Bling Key Ring", "Silver Ring", "Stringy Thing", "Red Glass Jar"])
    expected = ["Christmas", "Bags & accessories", "Jewellery", "Other", "Kitchen & dining"]
    assert categories_of(titles).tolist() == expected
    assert attributes_of(titles)[4] == {"colours": ["red"], "materials": ["glass"]}
    assert attributes_of(titles)[3] == {}


def test_a_report_is_a_table_that_lines_up():
    _, _, report = clean_invoices(frame(line(), line(), line(invoice="2", price=0)))
    lines = report.table().splitlines()
    assert len({len(text) for text in lines}) == 1
    assert lines[0].startswith("Rows read") and "3  100.00%" in lines[0]


def test_missing_columns_and_no_rows_are_refused():
    with pytest.raises(InvalidDataset, match="No column customer; there are invoice"):
        clean_invoices(frame(line()).drop(columns="customer"))
    with pytest.raises(InvalidDataset, match="no rows"):
        clean_invoices(frame())


def test_the_real_file():
    path = Path(os.environ.get("RECSITE_DATA", "")) / "online-retail" / "transactions.parquet"
    if not os.environ.get("RECSITE_DATA") or not path.is_file():
        pytest.skip("RECSITE_DATA names no folder with online-retail")
    kept, rejected, report = clean_invoices(pd.read_parquet(path))
    assert report.read == 397_057 == report.kept + sum(report.dropped.values())
    assert (len(kept), len(rejected)) == (report.kept, report.read - report.kept)
    assert report.dropped[cleaning.DUPLICATE] == 3_187
    assert (kept["quantity"].between(1, cleaning.MAX_QUANTITY) & (kept["unit_price"] > 0)).all()
    assert rejected.set_index("row").loc[[61_620, 61_625], "reason"].tolist() == [cleaning.CANCELLED, cleaning.MATCHED]
    catalogue = catalogue_of(kept)
    assert catalogue.notna().all().all()
    assert (catalogue["category"] == "Other").mean() < 0.15
    assert catalogue.loc["85123A", "title"] == "White Hanging Heart T-Light Holder"
