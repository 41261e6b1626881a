"""The web server itself, as it is started in production: what it said it has done is done, whatever happens to it."""

import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from recommender.models import Event, Item
from recommender.services import access
from tests.served import Server
from tests.workers.conftest import _at_rest, database_url  # noqa: F401  PostgreSQL ends what killed processes had begun

pytestmark = [pytest.mark.django_db(transaction=True)]
BATCH = 20


@pytest.fixture
def serve(tmp_path: Path, transactional_db: None) -> Iterator[Callable[..., Server]]:
    """serve(**environment) -> a server over the tests' database that answers; killed after the test."""
    started: list[Server] = []

    def serve(**env: str) -> Server:
        started.append(Server(tmp_path, DATABASE_URL=database_url(), STATIC_ROOT=str(tmp_path), **env))
        return started[-1].start()

    yield serve
    for server in started:
        server.kill()


@pytest.mark.database
def test_every_acknowledged_event_is_there_exactly_once_after_kill_9(serve: Callable[..., Server]) -> None:
    Item.objects.create(id="i", title="I")
    key = access.create("test", ["ingest"])[1]
    acknowledged: list[str] = []
    unsure: list[list[str]] = []  # sent, and the answer never came

    def post() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire:
            while True:
                ids = [str(uuid.uuid4()) for _ in range(BATCH)]
                rows = [
                    {"event_id": id, "kind": "view", "item_id": "i", "user_id": f"u{n}"} for n, id in enumerate(ids)
                ]
                headers = {"X-API-Key": key, "Content-Type": "application/json"}
                try:
                    wire.request("POST", "/api/v1/events/batch", json.dumps({"events": rows}), headers)
                    answer = json.loads(wire.getresponse().read())
                except (OSError, http.client.HTTPException):
                    unsure.append(ids)
                    return
                assert answer["accepted"] == BATCH
                acknowledged.extend(ids)

    server = serve()
    clients = [threading.Thread(target=post) for _ in range(3)]
    for client in clients:
        client.start()
    while len(acknowledged) < 10 * BATCH:
        time.sleep(0.01)
    time.sleep(random.random() * 0.2)
    server.kill()
    for client in clients:
        client.join(30)
    connection.close()  # a new one reads what is on disk
    there = [str(event_id) for event_id in Event.objects.values_list("event_id", flat=True)]
    assert len(there) == len(set(there))
    assert set(acknowledged) <= set(there)
    for ids in unsure:  # a batch is there as a whole or not at all
        assert len(set(ids) & set(there)) in (0, BATCH)


def test_a_server_that_is_asked_too_much_turns_away_what_it_must_and_recovers(serve: Callable[..., Server]) -> None:
    Item.objects.create(id="i", title="I")
    headers = {"X-API-Key": access.create("test", ["read"])[1]}
    server = serve(WEB_IN_WORK="1", WEB_IN_LINE="1", WEB_WAIT_MS="5")
    seen: list[tuple[int, str | None]] = []

    def ask(path: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)) as wire:
            wire.request("GET", f"/api/v1/{path}", headers=headers)
            answer = wire.getresponse()
            answer.read()
            seen.append((answer.status, answer.headers["Retry-After"]))
            return answer.status

    with ThreadPoolExecutor(12) as crowd:
        list(crowd.map(ask, ["popular", "trending"] * 100))
        assert {status for status, _ in seen} == {200, 503}
        assert {retry for status, retry in seen if status == 503} == {"5"}
        assert set(crowd.map(ask, ["health"] * 24)) == {200}
    assert [ask("popular") for _ in range(5)] == [200] * 5
