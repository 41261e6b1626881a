"""External ids and rows: whatever the ids are, rows lead back to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.engine.data.ids import UNKNOWN, Ids

# What UTF-8 can hold. NUL is left out: NumPy pads byte strings with it.
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(text, max_size=30), st.lists(text, max_size=10))
def test_rows_lead_back_to_ids(values: list[str], others: list[str]) -> None:
    ids = Ids.of(values)
    assert sorted(ids.all) == sorted(set(values))
    assert len(ids) == len(set(values))
    for value in [*values, *others]:
        row = ids.row(value)
        assert (row != UNKNOWN) == (value in set(values))
        assert row == UNKNOWN or ids.id(row) == value
    assert ids.rows([*values, *others]).tolist() == [ids.row(value) for value in [*values, *others]]


@given(st.lists(text | st.integers(), min_size=1, max_size=30))
def test_factorizing_gives_each_value_its_row(values: list[str | int]) -> None:
    ids, rows = Ids.factorize(np.array(values, dtype=object))
    assert ids.ids(rows) == [str(value) for value in values]
    assert ids.all == Ids.of([str(value) for value in values]).all
    assert rows.dtype == np.int32


def test_factorizing_nothing() -> None:
    ids, rows = Ids.factorize([])
    assert (len(ids), len(rows)) == (0, 0)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_id_is_refused(missing: object) -> None:
    with pytest.raises(ValueError, match="missing"):
        Ids.factorize(["a", missing, "b"])


def test_an_unknown_id_is_unknown_however_long() -> None:
    ids = Ids.of(["aa", "ab"])
    assert [ids.row(value) for value in ("", "a", "aa", "aaa", "zz", "x" * 1000)] == [-1, -1, 0, -1, -1, -1]
    assert Ids.of([]).row("a") == UNKNOWN
    assert Ids.of([]).rows(["a"]).tolist() == [UNKNOWN]


def test_mapped_ids_answer_the_same(tmp_path) -> None:
    ids = Ids.of(["b", "ü", "a"])
    np.save(tmp_path / "ids.npy", ids.encoded)
    mapped = Ids(np.load(tmp_path / "ids.npy", mmap_mode="r", allow_pickle=False))
    assert mapped.all == ids.all == ["a", "b", "ü"]
    assert mapped.row("ü") == 2
