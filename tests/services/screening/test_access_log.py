"""The access log: counted in the process, written all at once, kept as long as the settings say."""

import multiprocessing
import threading
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from recommender.models import Access
from recommender.services.screening import access_log

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def rows() -> list[tuple[Any, ...]]:
    found = Access.objects.order_by("door", "who", "client")
    return list(found.values_list("door", "who", "client", "requests", "failures", "targets"))


def test_counts_are_written_by_the_minute() -> None:
    for n in range(5):
        access_log.note("api", "rs_1", "8.8.4.4", n == 0, f"item-{n % 3}")
    access_log.note("log_in", "Anna", "", True)
    assert not Access.objects.exists()  # no request waits for the table
    with CaptureQueriesContext(connection) as queries:
        assert access_log.flush() == 2
    assert sum("INSERT" in query["sql"] for query in queries) == 1
    assert rows() == [("api", "rs_1", "8.8.4.4", 5, 1, 3), ("log_in", "Anna", "", 1, 1, 0)]
    assert access_log.flush() == 0


def test_later_writes_add_up() -> None:
    moment = timezone.now()
    for _ in range(3):  # as several processes do
        access_log.note("api", "rs_1", "", False, "item-1")
        access_log.note("api", "rs_1", "", True, "item-2")
        access_log.flush()
    if moment.minute == timezone.now().minute:
        assert rows() == [("api", "rs_1", "", 6, 3, 2)]  # what was asked for before in this minute is nothing new


@pytest.mark.parametrize("who", ["x" * 100_000, "\x00\ud800\n", "名前" * 100, "'; DROP TABLE", "\u202eevil"])
def test_odd_names(who: str) -> None:
    access_log.note("log_in", who, "", True)
    assert access_log.flush() == 1
    [(_, kept, *_)] = rows()
    assert len(kept) <= 150
    assert kept.isprintable()


def test_short_addresses(settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": {"short_addresses": True}}
    access_log.note("api", "", "8.8.4.4", True)
    access_log.note("api", "", "8.8.4.5", True)
    access_log.flush()
    assert rows() == [("api", "", "8.8.4.0/24", 2, 2, 0)]


def test_a_flood_of_names_shares_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MOST", 3)
    monkeypatch.setattr(access_log, "AT_ONCE", 2)  # several statements
    for n in range(10):
        access_log.note("log_in", f"name-{n}", "8.8.4.4", True)
    access_log.flush()
    assert [(row[1], row[3]) for row in rows()] == [("", 7), ("name-0", 1), ("name-1", 1), ("name-2", 1)]


def test_where_the_database_is_away_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    add = access_log._add

    def away(rows: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(access_log, "_add", away)
    access_log.note("api", "rs_1", "", False, "a")
    assert access_log.flush() == 0
    access_log.note("api", "rs_1", "", True, "b")
    monkeypatch.setattr(access_log, "_add", add)
    access_log.flush()
    assert sum(row[3] for row in rows()) == 2


def test_threads_lose_no_count() -> None:
    def work() -> None:
        for _ in range(500):
            access_log.note("api", "rs_1", "", False)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    access_log.flush()
    assert sum(row[3] for row in rows()) == 2000


def test_old_rows_are_pruned(settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": {"keep_days": 2}}
    for days in (0, 1, 3, 30):
        Access.objects.create(door="api", who=str(days), minute=timezone.now() - timedelta(days=days))
    assert access_log.prune() == 2
    assert sorted(Access.objects.values_list("who", flat=True)) == ["0", "1"]


def test_a_web_process_writes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    written = threading.Event()
    monkeypatch.setattr(access_log, "EVERY_S", 0.01)
    monkeypatch.setattr(access_log, "flush", lambda: written.set())
    monkeypatch.setattr(access_log, "Finalize", Mock())
    access_log.note("api", "rs_1", "", False)
    assert not written.wait(0.05)  # a command or a test does not
    access_log.start()
    access_log.note("api", "rs_1", "", False)
    assert written.wait(5)
    access_log.forget()


def test_what_was_counted_is_written_when_a_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a forked process, as the web server's workers are, which ends without atexit's functions."""
    context = multiprocessing.get_context("fork")
    ends, told = context.Pipe(duplex=False)

    def work() -> None:
        access_log.forget()  # as recsite.wsgi has each new process do
        monkeypatch.setattr(access_log, "flush", lambda: told.send("written"))
        access_log.start()

    child = context.Process(target=work)
    child.start()
    child.join()
    assert ends.poll(5)
    assert ends.recv() == "written"
