"""The import commands as an operator meets them: what they print, refuse, and do on Ctrl-C."""

import io
import os
import signal

import pandas as pd
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from recommender.management import import_door
from recommender.models import Event, Item
from recommender.services import import_files

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _var(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"


def run(*args, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command(*map(str, args), stdout=out, stderr=err, no_progress=True, **options)
    return out.getvalue()


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    rows = [f"u{n % 5},i{n % 3},2024-05-01T10:00:{n:02}Z,buy,1" for n in range(40)] + ["u1,i1,never,buy,1"]
    path.write_text("\n".join(["customer,sku,ts,action,qty", *rows]))
    return path


MAPPED = [f"--map={pair}" for pair in ("user=customer", "item=sku", "time=ts", "kind=action", "value=qty")]


def test_events_are_imported_and_reported(log):
    out = run("import_events", log, *MAPPED, "--map-kind=buy=purchase", "--create-items")
    assert Event.objects.filter(kind="purchase").count() == 40
    assert "Rows read" in out and "Kept" in out and "time cannot be read" in out
    assert "log-csv-rejected.csv" in out and "40 new" in out


def test_the_rejected_rows_go_where_they_are_asked_to(log, tmp_path):
    run("import_events", log, *MAPPED, "--map-kind=buy=purchase", "--create-items", f"--rejected={tmp_path / 'r.csv'}")
    assert (tmp_path / "r.csv").read_text().splitlines()[0] == "row,reason,customer,sku,ts,action,qty,text"


def test_a_dry_run_says_so(log):
    out = run("import_events", log, *MAPPED, "--map-kind=buy=purchase", "--create-items", "--dry-run")
    assert "nothing was written" in out and not Event.objects.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "No column for user, item, time; the file has customer, sku, ts, action, qty"),
        (["--map=user"], "write it as NAME=VALUE"),
        (["--map=user=nobody"], "user=nobody"),
        ([*MAPPED, "--kind=buy"], "There is no kind buy"),
        ([*MAPPED, "--rejected=/proc/none/r.csv"], "cannot be written"),
    ],
)
def test_wrong_options_are_a_command_error(log, args, message):
    with pytest.raises(CommandError, match=message):
        run("import_events", log, *args)


@pytest.mark.parametrize(
    ("name", "data"), [("a.csv", b""), ("a.doc", b"x"), ("a.csv", b"a,b\n\x00"), ("a.parquet", b"x")]
)
@pytest.mark.parametrize("command", ["import_events", "import_items"])
def test_files_that_cannot_be_read_are_a_command_error(tmp_path, command, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CommandError):
        run(command, tmp_path / name)


def test_items_are_imported(tmp_path):
    (tmp_path / "items.csv").write_text("sku,title,colour\nm1,Mug,red\n")
    out = run("import_items", tmp_path / "items.csv", "--map=id=sku")
    assert Item.objects.get().attributes == {"colour": "red"} and "1 new" in out


def test_a_shop_is_imported(tmp_path):
    columns = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    row = ["536365", "85123A", "WHITE HANGING HEART T-LIGHT HOLDER", 6, "12/1/2010 8:26", 2.55, 17850, "EIRE"]
    pd.DataFrame([row], columns=columns).to_csv(tmp_path / "data.csv", index=False)
    assert "1 new" in run("import_shop", "online-retail", tmp_path)
    with pytest.raises(CommandError, match="corner"):
        run("import_shop", "corner", tmp_path)


def test_a_database_that_refuses_is_a_command_error(log, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("no such table: recommender_event")

    monkeypatch.setattr(Event.objects.__class__, "bulk_create", refuse)
    with pytest.raises(CommandError, match=r"no such table.*manage\.py migrate"):
        run("import_events", log, *MAPPED, "--map-kind=buy=purchase", "--create-items")


def test_ctrl_c_finishes_the_chunk_and_the_next_run_goes_on(log, monkeypatch):
    monkeypatch.setattr(import_files, "CHUNK_ROWS", 10)
    show, calls = import_door.ProgressBar.__call__, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        show(self, *args)

    monkeypatch.setattr(import_door.ProgressBar, "__call__", interrupted)
    args = ("import_events", log, *MAPPED, "--map-kind=buy=purchase", "--create-items")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as exit_:
        run(*args)
    assert exit_.value.code == 130 and Event.objects.count() == 20
    assert signal.getsignal(signal.SIGINT) is before
    assert "Went on after the 20 rows" in run(*args)
    assert Event.objects.count() == 40


def test_a_second_ctrl_c_takes_the_chunk_back(log, monkeypatch):
    monkeypatch.setattr(
        Event.objects.__class__, "bulk_create", lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGINT)
    )
    args = ("import_events", log, *MAPPED, "--map-kind=buy=purchase", "--create-items")
    with pytest.raises(SystemExit) as exit_:
        run(*args)
    assert exit_.value.code == 130 and not Item.objects.exists()
