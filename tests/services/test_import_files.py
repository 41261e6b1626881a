"""Files as they come: encodings, delimiters, broken rows, packed and damaged ones."""

import gzip
import json

import pandas as pd
import pytest

from recommender.engine.errors import InvalidDataset
from recommender.services import import_files
from recommender.services.import_files import as_text, open_table


def whole(table, skip=0):
    chunks = list(table.chunks(skip))
    return pd.concat([chunk.frame for chunk in chunks]), [broken for chunk in chunks for broken in chunk.broken]


def csv_file(tmp_path, data: bytes, name="events.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return open_table(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_encodings_and_delimiters_are_found(tmp_path, encoding, delimiter):
    text = f"user{delimiter}title\r\nana{delimiter}Café £5\r\n\r\nben{delimiter}Thé\r\n"
    frame, broken = whole(csv_file(tmp_path, text.encode(encoding)))
    assert frame.to_dict("list") == {"user": ["ana", "ben"], "title": ["Café £5", "Thé"]}
    assert frame.index.tolist() == [1, 2] and not broken


def test_csv_rows_that_do_not_fit_the_header_are_broken_rows(tmp_path):
    table = csv_file(tmp_path, b'a,b\n1,2\n3\n4,5,6\n7,8,\n"9,\n10",11\n')
    frame, broken = whole(table)
    assert frame.index.tolist() == [1, 4, 5] and frame["a"].tolist() == ["1", "7", "9,\n10"]
    assert [(row.row, row.text) for row in broken] == [(2, "3"), (3, "4,5,6")]


def test_a_csv_field_that_never_ends_is_a_broken_row(tmp_path):
    frame, broken = whole(csv_file(tmp_path, b'a,b\n1,2\n"' + b"x" * 200_000 + b"\n"))
    assert len(frame) == 1 and "close its quotes" in broken[0].reason


def test_json_lines_keep_their_types_and_tell_the_broken_ones(tmp_path):
    lines = ['{"user": 7, "tags": ["a"], "price": 1.5}', "{broken", "[1]", '{"user": "\\ud800"}', '{"user": "ana"}']
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(lines))
    table = open_table(path)
    frame, broken = whole(table)
    assert table.columns == ["user", "tags", "price"]
    assert frame["user"].tolist() == [7, "ana"] and frame["tags"].tolist() == [["a"], None]
    assert [row.row for row in broken] == [2, 3, 4]


def test_a_json_field_that_appears_late_is_a_column(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"user": 1}\n' * 6_000 + '{"user": 2, "value": 4}\n')
    assert open_table(path).columns == ["user", "value"]


def test_packed_files_are_read_and_skipping_begins_at_the_right_row(tmp_path, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 3)
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps({"n": n}) for n in range(10)).encode()))
    chunks = list(open_table(path).chunks(4))
    assert [chunk.frame["n"].tolist() for chunk in chunks] == [[4, 5, 6], [7, 8, 9]]
    assert chunks[-1].done == path.stat().st_size


def test_parquet_keeps_whole_numbers_whole_and_skips(tmp_path, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 2)
    path = tmp_path / "events.parquet"
    pd.DataFrame({"user": pd.array([17850, None, 3, 4, 5], dtype="Int64")}).to_parquet(path)
    frame, _ = whole(open_table(path), skip=1)
    assert as_text(frame["user"]).to_dict() == {2: "", 3: "3", 4: "4", 5: "5"}


def test_values_as_text():
    column = pd.Series([" a\x00 ", 5.0, 5.25, 7, None, float("nan"), pd.NaT, True, [1, "b"]], dtype=object)
    assert as_text(column).tolist() == ["a", "5", "5.25", "7", "", "", "", "True", '[1, "b"]']


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n \n", "no header"),
        ("a.csv", b"a,b\n\x00\x01\x02", "not a text file"),
        ("a.csv", b"a,b\n\x81\x8d\xe9", "neither UTF-8 nor Windows-1252"),
        ("a.csv", b"a,a\n1,2", "a column twice"),
        ("a.csv.gz", b"no gzip at all", "damaged"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 9_000, mtime=0)[:-20], "damaged"),
        ("a.json", b'[{"a": 1},\n', "not JSON lines"),
        ("a.parquet", b"PAR1 but not", "not a Parquet file"),
        ("a.xls", b"data", "use a file .csv"),
        ("a.parquet.gz", b"data", "use a file .csv"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InvalidDataset, match=message):
        open_table(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InvalidDataset, match="There is no file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(InvalidDataset, match="is a folder"):
        open_table(tmp_path)
