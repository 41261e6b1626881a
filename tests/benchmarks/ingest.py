"""Events posted over HTTP in batches, to the web server as `manage.py up` starts it, killed with -9 at the end.

    python -m tests.benchmarks.ingest --database sqlite
    python -m tests.benchmarks.ingest --database postgresql

A server with two web processes, a database and a Redis of their own, 20,000 items and as many visitors. Each client is
a process with one kept connection, which posts its next batch when the last one is answered. At the end the server is
killed in the midst of it, and every event that was acknowledged is looked up in the database. PostgreSQL runs with
fsync and synchronous commits, SQLite as the settings have it. The CPU seconds say what other work on the machine hides:
per 1,000 events, of the web processes and of the database.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.served import Server, cpu_seconds, surroundings

ITEMS, VISITORS = 20_000, 20_000
KINDS = ("view",) * 10 + ("impression",) * 6 + ("click",) * 2 + ("cart", "like")
BATCH = 100


def batch_of(client: int, number: int, size: int) -> list[dict[str, Any]]:
    """The same ids whenever it is asked for, and the moment it is asked for."""
    rng = random.Random(f"{client} {number}")
    now = datetime.now(UTC) - timedelta(seconds=1)
    rows = []
    for _ in range(size):
        event_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        who = rng.randrange(VISITORS)
        row: dict[str, Any] = {
            "event_id": event_id,
            "kind": rng.choice(KINDS),
            "item_id": f"item-{rng.randrange(ITEMS)}",
        }
        row |= {"session_id": f"s{who}"} if who % 3 == 0 else {"user_id": f"user-{who}"}
        row |= {"occurred_at": now.isoformat(), "session": f"visit-{who}"}
        if who % 2:
            row |= {"rec_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "shelf": "for-you", "position": 3}
        rows.append(row)
    return rows


def post(client: int, port: int, key: str, size: int, until: float, results: Any) -> None:
    """Post batch after batch until the server is gone; what was acknowledged and how long it took goes to `results`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    times: list[tuple[float, float]] = []  # when it was answered, seconds it took
    acknowledged, strange = [], []
    number = 0
    try:
        while time.monotonic() < until:
            body = json.dumps({"events": batch_of(client, number, size)})
            started = time.perf_counter()
            connection.request("POST", "/api/v1/events/batch", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            times.append((time.monotonic(), time.perf_counter() - started))
            if answer.status == 200 and json.loads(said)["accepted"] == size:
                acknowledged.append(number)
            else:
                strange.append(f"{answer.status} {said[:300]!r}")
            number += 1
    except (OSError, http.client.HTTPException):
        pass  # killed
    results.put((client, times, acknowledged, strange, time.process_time()))


def fill() -> str:
    """The items, and a key to post with."""
    from recommender.models import Category, Item
    from recommender.services import access

    Category.objects.create(slug="things", name="Things")
    Item.objects.bulk_create(
        [Item(id=f"item-{n}", title=f"Thing {n}", category_id="things", price=10) for n in range(ITEMS)],
        batch_size=1000,
    )
    return access.create("benchmark", ["ingest"])[1]


def lost_or_doubled(acknowledged: Iterator[str]) -> tuple[int, int, int]:
    """(looked up, missing, there more than once)."""
    from recommender.models import Event

    asked, found, ids = 0, 0, list(acknowledged)
    for at in range(0, len(ids), 500):
        part = ids[at : at + 500]
        asked += len(part)
        found += Event.objects.filter(event_id__in=part).values("event_id").distinct().count()
    every = Event.objects.count()
    return asked, asked - found, every - Event.objects.values("event_id").distinct().count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsite-ingest-") as folder, surroundings(options.database, Path(folder)):
        server = Server(Path(folder), options.workers)
        result = measure(options, server)
        if result["other answers"]:
            print(server.log.read_text()[-5000:])
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def measure(options: argparse.Namespace, server: Server) -> dict[str, Any]:
    key = fill()
    server.start()
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    warm_up, spare = 3.0, 5.0
    until = time.monotonic() + warm_up + options.seconds + spare
    asked = (server.port, key, options.batch, until, results)
    clients = [spawn.Process(target=post, args=(client, *asked)) for client in range(options.clients)]
    for client in clients:
        client.start()
    time.sleep(warm_up)
    began, before, load = time.monotonic(), cpu_seconds(), os.getloadavg()[0]
    time.sleep(options.seconds)
    ended, after = time.monotonic(), cpu_seconds()
    server.kill()
    told = [results.get(timeout=60) for _ in clients]
    for process in clients:
        process.join(10)
    took = sorted(s for _, times, _, _, _ in told for moment, s in times if began <= moment <= ended)
    events = len(took) * options.batch
    ids = (
        row["event_id"]
        for client, _, numbers, _, _ in told
        for n in numbers
        for row in batch_of(client, n, options.batch)
    )
    asked_for, missing, doubled = lost_or_doubled(ids)
    return {
        "database": options.database,
        "clients": options.clients,
        "batch": options.batch,
        "events per second": round(events / (ended - began)),
        "p50 ms": round(1000 * took[len(took) // 2], 1),
        "p99 ms": round(1000 * took[int(len(took) * 0.99)], 1),
        "CPU s per 1,000 events": {name: round((after[name] - before[name]) / events * 1000, 4) for name in after},
        "cores": os.cpu_count(),
        "load before": round(load, 1),
        "other answers": [text for *_, strange, _ in told for text in strange][:3],
        "acknowledged events looked up after kill -9": asked_for,
        "missing": missing,
        "doubled": doubled,
    }


if __name__ == "__main__":
    main()
