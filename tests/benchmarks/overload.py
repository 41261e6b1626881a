"""Ten times more than the site can answer, for a minute: who is admitted, how long it takes, and what comes after.

    python -m tests.benchmarks.overload --database postgresql

A server with two web processes, a database and a Redis of their own, a shop of 2,000 items and a model that serves.
First the capacity, by eight clients that ask again when they are answered. Then a client of its own process asks ten
times as much at moments that do not depend on the answers (open loop; latencies count from the moment a request was
due), and after the last of them half of the capacity, for ten seconds. The client shares the machine's cores with the
site, which makes both slower than they are.
"""

import argparse
import http.client
import itertools
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.benchmarks import open_loop
from tests.served import Server, cpu_seconds, surroundings

ITEMS, KEYS = 2000, 20


def fill() -> list[str]:
    """A shop, what its shoppers did, and a model of it that is live. Returns keys to ask with."""
    from recommender.models import Category, Item, Run
    from recommender.services import access, events, publishing, training
    from tests.benchmarks import ingest

    Category.objects.create(slug="things", name="Things")
    Item.objects.bulk_create(
        [Item(id=f"item-{n}", title=f"Thing {n}", category_id="things", price=10) for n in range(ITEMS)]
    )
    ingest.ITEMS, ingest.VISITORS = ITEMS, 1000
    for number in range(200):
        events.record_batch(ingest.batch_of(0, number, 100))
    run = training.run(training.request("als", {"factors": 64, "iterations": 5}).pk)
    assert run is not None and run.status in (Run.Status.SUCCEEDED, Run.Status.REFUSED), run and run.error
    publishing.publish(run.pk, "benchmark")
    return [access.create(f"benchmark {n}", ["read", "ingest"])[1] for n in range(KEYS)]


def requests_of(keys: list[str], port: int) -> tuple[list[bytes], list[str]]:
    """Requests as they go over the wire, and what each is: three of the API for one of the shop's front page."""
    found, names = [], []
    for number in range(400):
        who = number * 7 % 1000
        key = keys[number % len(keys)]
        if number % 4 == 3:
            found.append(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: visitor=guest:{who:032x}\r\n\r\n")
            names.append("front page")
        else:
            path = f"/api/v1/recommendations?user_id=user-{who}&n=10"
            found.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\n\r\n")
            names.append("API")
    return [text.encode() for text in found], names


def capacity(port: int, requests: list[bytes], seconds: float, clients: int = 8) -> float:
    """Answers a second to clients that ask again when they are answered."""
    done, turn, until = [0] * clients, itertools.count(), time.monotonic() + seconds

    def client(number: int) -> None:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < until:
            lines = requests[next(turn) % len(requests)].decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[2:] if line)
            wire.request("GET", lines[0].split()[1], headers=headers)
            answer = wire.getresponse()
            answer.read()
            done[number] += answer.status == 200
        wire.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def _client(port: int, requests: list[bytes], plan: list[tuple[float, float]], results: Any) -> None:
    for rate, seconds in plan:
        results.put(open_loop.ask(port, requests, rate, seconds))


def quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        f"p{share:g} ms": round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))], 1)
        for share in (50, 99, 99.9)
    }


def told(seen: open_loop.Seen, names: list[str], seconds: float) -> dict[str, Any]:
    statuses = Counter(seen.status)
    admitted = [
        (took, names[kind])
        for took, status, kind in zip(seen.took, seen.status, seen.kind, strict=True)
        if status == 200
    ]
    return {
        "offered a second": round(len(seen.status) / seconds),
        "admitted a second": round(statuses[200] / seconds, 1),
        "turned away": f"{statuses[503] / len(seen.status):.1%}",
        "statuses": dict(statuses),
        "503 without Retry-After": seen.no_retry_after,
        "admitted": quantiles([took for took, _ in admitted]),
        **{f"admitted, {name}": quantiles([t for t, n in admitted if n == name]) for name in sorted(set(names))},
        "503": quantiles([took for took, status in zip(seen.took, seen.status, strict=True) if status == 503]),
        "odd": seen.odd,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="recsite-overload-") as folder,
        surroundings(options.database, Path(folder)),
    ):
        keys = fill()
        server = Server(Path(folder), options.workers).start()
        requests, names = requests_of(keys, server.port)
        capacity(server.port, requests, 3)  # warm
        able = capacity(server.port, requests, 8)
        load = os.getloadavg()[0]
        spawn = multiprocessing.get_context("spawn")
        results = spawn.Queue()
        usual, after = (able / 2, 10.0), 10.0
        plan = [usual, (able * options.times, options.seconds), (able / 2, after)]
        client = spawn.Process(target=_client, args=(server.port, requests, plan, results))
        client.start()
        before, overload, afterwards = (results.get(timeout=300) for _ in plan)
        cpu = cpu_seconds()
        client.join(10)
        log = server.log.read_text()
        server.kill()
    late = [m for m, status in zip(afterwards.moment, afterwards.status, strict=True) if status != 200]
    result = {
        "database": options.database,
        "capacity a second": round(able, 1),
        "load": round(load, 1),
        "half of the capacity, before": told(before, names, usual[1]),
        f"{options.times:g} times": told(overload, names, options.seconds),
        "half of the capacity, after": told(afterwards, names, after),
        "seconds until all was admitted again": round(max(late, default=0.0), 2),
        "CPU s of web, clients": [round(cpu["web"], 1), round(cpu["clients"], 1)],
        "faults in the log": log.count("Traceback"),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
