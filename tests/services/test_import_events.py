"""Events from files: every reason for a refusal, ids that never double, and stopping and going on."""

import csv
import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from django.utils import timezone

from recommender.models import Event, Item, Visitor
from recommender.services import import_events as events
from recommender.services import import_files
from recommender.services.errors import InvalidInput
from recommender.services.import_events import EventOptions, import_events

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _var(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


@pytest.fixture
def items(db):
    Item.objects.bulk_create(Item(id=f"i{n}", title=f"Item {n}") for n in range(5))


def write_csv(path, rows, columns=("user", "item", "time", "kind", "value", "session", "event_id")):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def row(user="ana", item="i1", time="2024-05-01T10:00:00Z", kind="view", value="", session="", event_id=""):
    return (user, item, time, kind, value, session, event_id)


def rejected_rows(result):
    with result.rejected.open(newline="") as file:
        return {int(line["row"]): line["reason"] for line in csv.DictReader(file)}


def snapshot():
    fields = ("event_id", "kind", "visitor_id", "item_id", "value", "occurred_at", "session")
    return sorted(Event.objects.values_list(*fields), key=str)


def test_every_row_is_kept_or_refused_with_a_reason(tmp_path, items):
    later, sooner = timezone.now() + timedelta(days=3), timezone.now() + timedelta(hours=3)
    expected = [
        (row(), ""),
        (row(), events.REPEATED),
        (row(user=""), events.NO_FIELD["user"]),
        (row(item=" "), events.NO_FIELD["item"]),
        (row(time=""), events.NO_FIELD["time"]),
        (row(user="a b"), events.BAD_ID["user"]),
        (row(item="a/b"), events.BAD_ID["item"]),
        (row(user="x" * 129), events.BAD_ID["user"]),
        (row(item="i99"), events.UNKNOWN_ITEM),
        (row(kind="bought"), events.UNKNOWN_KIND),
        (row(time="01/05/2024"), events.BAD_TIME),
        (row(time="1714557600"), events.BAD_TIME),
        (row(time=later.isoformat()), events.FUTURE),
        (row(time="1970-01-01T00:00:00Z"), events.ANCIENT),
        (row(value="many"), events.BAD_VALUE),
        (row(value="inf"), events.BAD_VALUE),
        (row(value="nan"), events.BAD_VALUE),
        (row(kind="rating", value="5.5"), events.BAD_STARS),
        (row(kind="rating"), events.BAD_STARS),
        (row(kind="purchase", value="0"), events.BAD_QUANTITY),
        (row(kind="purchase", value="-1"), events.BAD_QUANTITY),
        (row(session="s" * 65), events.LONG_SESSION),
        (row(kind="PURCHASE", value="2", session="o1"), ""),
        (row(kind="rating", value="4.5"), ""),
        (row(time=sooner.isoformat()), ""),
        (row(event_id="abc"), ""),
    ]
    path = write_csv(tmp_path / "log.csv", [cells for cells, _ in expected])
    result = import_events(path, EventOptions())
    assert rejected_rows(result) == {place: reason for place, (_, reason) in enumerate(expected, 1) if reason}
    assert result.report.read == len(expected) == result.report.kept + sum(result.report.dropped.values())
    assert Event.objects.count() == result.report.kept == 5
    assert Event.objects.filter(kind="purchase").values_list("value", "session").get() == (2.0, "o1")
    assert not Event.objects.filter(occurred_at__gt=timezone.now()).exists()
    assert Visitor.objects.get().kind == Visitor.Kind.EXTERNAL


def test_columns_kinds_units_and_zones_are_mapped(tmp_path, items):
    columns = ("customer_no", "sku", "ts", "action", "qty")
    path = write_csv(tmp_path / "shop.csv", [("ana", "i1", "2024-07-01 12:00", "buy", "3")], columns)
    mapped = {"user": "customer_no", "item": "sku", "time": "ts", "kind": "action", "value": "qty"}
    import_events(path, EventOptions(columns=mapped, kinds={"buy": "purchase"}, timezone="Europe/London"))
    event = Event.objects.get()
    assert (event.kind, event.value) == ("purchase", 3.0)
    assert event.occurred_at == datetime(2024, 7, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(("unit", "number"), [("s", "1714557600"), ("s", "1714557600.0"), ("ms", "1714557600000")])
def test_numbers_are_times_in_the_unit_that_is_named(tmp_path, items, unit, number):
    path = write_csv(tmp_path / "log.csv", [row(time=number), row(time="soon"), row(time="9e99"), row(time="5")])
    result = import_events(path, EventOptions(time_unit=unit))
    assert Event.objects.get().occurred_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert rejected_rows(result) == {2: events.BAD_TIME, 3: events.BAD_TIME, 4: events.ANCIENT}


def test_hours_that_a_zone_skips_or_repeats_are_kept(tmp_path, items):
    path = write_csv(tmp_path / "log.csv", [row(time="2024-03-31T01:30:00"), row(time="2024-10-27T01:30:00")])
    import_events(path, EventOptions(timezone="Europe/London"))
    times = list(Event.objects.order_by("occurred_at").values_list("occurred_at", flat=True))
    assert times == [datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 0, 30, tzinfo=UTC)]


def test_json_lines_with_a_broken_line(tmp_path, items):
    lines = [json.dumps({"user": 5, "item": "i1", "time": "2024-05-01T10:00:00Z"}), '{"user": ', "", '{"user": "ana"}']
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines))
    result = import_events(path, EventOptions(kind="view"))
    assert Event.objects.get().visitor_id == "5"
    assert rejected_rows(result) == {2: "not valid JSON: each line is one object", 3: events.NO_FIELD["item"]}
    assert result.report.read == 3


def test_a_file_of_broken_lines_only_is_a_report(tmp_path, items):
    path = tmp_path / "log.csv"
    path.write_text("user,item,time\nx\ny\n")
    result = import_events(path, EventOptions(kind="view"))
    assert (result.report.read, result.report.kept) == (2, 0)


def test_parquet_times_need_no_unit(tmp_path, items):
    path = tmp_path / "log.parquet"
    times = pd.to_datetime(["2024-05-01 10:00", None])
    pd.DataFrame({"user": [1, 2], "item": ["i1", "i2"], "time": times}).to_parquet(path)
    result = import_events(path, EventOptions(kind="view", timezone="Europe/London"))
    assert Event.objects.get().occurred_at == datetime(2024, 5, 1, 9, tzinfo=UTC)
    assert rejected_rows(result) == {2: events.NO_FIELD["time"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EventOptions(columns={"user": "customer"}, kind="view"), "user=customer; the file has user, item, time"),
        (EventOptions(columns={"person": "user"}, kind="view"), "no field person; the fields are user"),
        (EventOptions(), "Say what the rows are"),
        (EventOptions(kind="buy"), "no kind buy; the kinds are impression"),
        (EventOptions(kind="view", timezone="Mars/Base"), "no time zone 'Mars/Base'"),
        (EventOptions(kind="view", time_unit="days"), "time unit"),
    ],
)
def test_wrong_options_are_refused_with_what_there_is(tmp_path, options, message):
    path = write_csv(tmp_path / "log.csv", [("a", "i1", "2024-01-01")], ("user", "item", "time"))
    with pytest.raises(InvalidInput, match=message):
        import_events(path, options)


def test_a_parquet_without_the_column_is_refused_with_those_it_has(tmp_path):
    path = tmp_path / "log.parquet"
    pd.DataFrame({"user": ["a"], "time": ["2024-01-01"]}).to_parquet(path)
    with pytest.raises(InvalidInput, match="No column for item; the file has user, time"):
        import_events(path, EventOptions(kind="view"))


def test_a_file_without_rows_is_refused(tmp_path):
    path = write_csv(tmp_path / "log.csv", [], ("user", "item", "time"))
    with pytest.raises(InvalidInput, match="no rows"):
        import_events(path, EventOptions(kind="view"))


def test_items_are_made_when_asked(tmp_path):
    path = write_csv(tmp_path / "log.csv", [row(item="new"), row(item="bad id")])
    result = import_events(path, EventOptions(create_items=True))
    assert Item.objects.get().title == "new"
    assert result.written["items"].new == 1


def test_events_of_a_merged_guest_go_to_the_account(tmp_path, items):
    account = Visitor.objects.create(id="account:1", kind=Visitor.Kind.ACCOUNT)
    Visitor.objects.create(id="guest:1", merged_into=account)
    import_events(write_csv(tmp_path / "log.csv", [row(user="guest:1")]), EventOptions())
    assert Event.objects.get().visitor == account


def test_a_dry_run_reports_and_writes_nothing(tmp_path, items):
    path = write_csv(tmp_path / "log.csv", [row(), row(item="i99")])
    result = import_events(path, EventOptions(), dry_run=True)
    assert (result.report.kept, result.written["events"].new) == (1, 1)
    assert rejected_rows(result) == {2: events.UNKNOWN_ITEM}
    assert not Event.objects.exists() and not Visitor.objects.exists()


def test_the_rejected_rows_cannot_replace_the_source(tmp_path):
    path = write_csv(tmp_path / "log.csv", [row()])
    with pytest.raises(InvalidInput, match="cannot go into the file that is read"):
        import_events(path, EventOptions(), rejected=path)


def many(tmp_path):
    start = datetime(2024, 5, 1, tzinfo=UTC)
    rows = [row(user=f"u{n % 7}", item=f"i{n % 6}", time=(start + timedelta(minutes=n)).isoformat()) for n in range(95)]
    return write_csv(tmp_path / "log.csv", [*rows, *rows[:5]])


def stop_after(chunks):
    calls = iter(range(1000))
    return lambda: next(calls) >= chunks


def test_twice_is_the_same_as_once(tmp_path, items, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 10)
    path = many(tmp_path)
    first = import_events(path, EventOptions())
    before = snapshot()
    second = import_events(path, EventOptions())
    assert snapshot() == before and len(before) == first.written["events"].new
    assert second.written["events"].new == 0
    assert first.report.dropped[events.REPEATED] == 5, "rows repeated in another chunk are seen"
    assert second.report.read == second.report.kept + sum(second.report.dropped.values()) == 100


def test_stopped_and_resumed_is_the_same_as_uninterrupted(tmp_path, items, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 10)
    path = many(tmp_path)
    whole = import_events(path, EventOptions())
    expected, rejects, report = snapshot(), whole.rejected.read_text(), whole.report
    Event.objects.all().delete()
    Visitor.objects.all().delete()

    stopped = import_events(path, EventOptions(), stop=stop_after(4))
    assert (stopped.complete, stopped.rows_done, Event.objects.count()) == (False, 40, stopped.report.kept)
    resumed = import_events(path, EventOptions())
    assert (resumed.complete, resumed.resumed_after) == (True, 40)
    assert snapshot() == expected
    assert (resumed.report, resumed.written, resumed.rejected.read_text()) == (report, whole.written, rejects)


@pytest.mark.parametrize("loss", ["checkpoint", "damaged", "database", "rejected"])
def test_a_checkpoint_that_does_not_fit_is_not_believed(tmp_path, items, monkeypatch, settings, loss):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 10)
    path = many(tmp_path)
    stopped = import_events(path, EventOptions(), stop=stop_after(4))
    (checkpoint,) = (settings.VAR_DIR / "imports").glob("*.json")
    if loss == "checkpoint":
        checkpoint.unlink()
    elif loss == "damaged":
        checkpoint.write_text("{")
    elif loss == "database":
        Event.objects.all().delete()
    else:
        stopped.rejected.unlink()
    resumed = import_events(path, EventOptions())
    assert resumed.resumed_after == 0 and resumed.report.read == 100
    assert Event.objects.count() == len({tuple(event[1:]) for event in snapshot()}) == 80


def test_a_failing_chunk_is_taken_back_and_the_import_goes_on_from_there(tmp_path, items, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 10)
    path = many(tmp_path)
    write, calls = events._EventWriter.write, []

    def failing(self, frame, state):
        calls.append(1)
        outcome = write(self, frame, state)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return outcome

    monkeypatch.setattr(events._EventWriter, "write", failing)
    with pytest.raises(KeyboardInterrupt):
        import_events(path, EventOptions())
    assert Event.objects.values("occurred_at").distinct().count() <= 20
    assert import_events(path, EventOptions()).resumed_after == 20
    assert Event.objects.count() == 80
