"""New models published under load: requests that failed, answers that mix two models, and the latency meanwhile.

    python -m tests.benchmarks.swap --database sqlite --items 20000

Two catalogues of `items` things each, and models that know one of them alone, so that every list shows which model it
came from: what is on it by the model's own sources has to fit the run_id that it names. A client asks for
recommendations at a third of the capacity (open loop); after ten seconds a model that no process has opened yet is
published every five, the two catalogues in turn. Compared are the latencies of the first ten seconds and those within
two seconds after a publication. Lists are asked of visitors with a history in both catalogues.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import open_loop
from tests.benchmarks.overload import capacity, quantiles
from tests.served import Server, surroundings

VISITORS, SWAPS, EVERY_S, AFTER_S = 300, 4, 5.0, 2.0
OWN = ("model", "similar", "together", "cluster", "popular")  # sources that belong to one run


def fill(items: int) -> tuple[list[int], str]:
    """Runs that are not published yet, but for the first, of catalogue "a" and "b" in turn; and a key."""
    from recommender.conf import conf
    from recommender.engine.model import write_model
    from recommender.engine.trainers import Options, make_config, trainer
    from recommender.models import Category, Item, Run
    from recommender.services import access, event_log, events, publishing

    Category.objects.create(slug="things", name="Things")
    rng, then = np.random.default_rng(1), datetime.now(UTC) - timedelta(days=200)
    runs: list[int] = []
    for name in "ab":
        Item.objects.bulk_create(
            [Item(id=f"{name}-{n}", title=f"Thing {name} {n}", category_id="things", price=10) for n in range(items)],
            batch_size=1000,
        )
        chosen, who = rng.integers(items, size=8 * items), rng.integers(items, size=8 * items)
        log = event_log.EventLog(
            np.array([f"u{n}" for n in who], dtype=object),
            np.array([f"{name}-{n}" for n in chosen], dtype=object),
            np.full(len(who), "purchase", dtype=object),
            np.full(len(who), np.nan),
            np.full(len(who), int(then.timestamp()), dtype=np.int64),
            np.full(len(who), "", dtype=object),
        )
        config = make_config("als", {"factors": 64, "iterations": 1})
        data = event_log.interactions(log)
        learned = trainer("als").fit(data, config, Options(threads=1))
        path = write_model(conf().artifacts_dir, f"catalogue-{name}", "als", config, learned, data)
        for number in range(SWAPS // 2 + 1):
            run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact=f"{name}{number}")
            shutil.copytree(path, conf().artifacts_dir / run.artifact)
            runs.append(run.pk)
        rows = [
            {"event_id": f"{ord(name):08x}-0000-4000-8000-{v:06d}{n:06d}", "kind": "view", "user_id": f"user-{v}"}
            | {"item_id": f"{name}-{rng.integers(items)}", "occurred_at": (then + timedelta(minutes=n)).isoformat()}
            for v in range(VISITORS)
            for n in range(5)
        ]
        for at in range(0, len(rows), 1000):
            events.record_batch(rows[at : at + 1000])
    half = len(runs) // 2
    ordered = [run for pair in zip(runs[:half], runs[half:], strict=True) for run in pair]
    publishing.publish(ordered[0], "benchmark")
    return ordered, access.create("benchmark", ["read"])[1]


def note(body: bytes) -> tuple[int | None, str, list[str]]:
    """(run_id, tier, catalogues of what the run's own sources brought)."""
    found = json.loads(body)
    own = {item["item_id"][0] for item in found["items"] if (item.get("source") or "model") in OWN}
    return found["run_id"], found["tier"], sorted(own)


def _client(port: int, requests: list[bytes], rate: float, seconds: float, results: Any) -> None:
    results.put(time.monotonic())
    results.put(open_loop.ask(port, requests, rate, seconds, note=note))


def within(seen: open_loop.Seen, spans: Iterable[tuple[float, float]]) -> list[float]:
    return [t for m, t in zip(seen.moment, seen.took, strict=True) if any(a <= m < b for a, b in spans)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--share", type=float, default=0.3, help="Of the capacity that is asked for.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recsite-swap-") as folder, surroundings(options.database, Path(folder)):
        from recommender.services import publishing

        runs, key = fill(options.items)
        # A list that the key may ask for as often as the machine can answer.
        server = Server(Path(folder), GUARD='{"limits": {"key_requests": null, "key_items": null}}').start()
        line = (
            "GET /api/v1/recommendations?user_id=user-{}&n=10 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nX-API-Key: {}\r\n\r\n"
        )
        requests = [line.format(n, server.port, key).encode() for n in range(VISITORS)]
        capacity(server.port, requests, 3)
        able, load = capacity(server.port, requests, 5), os.getloadavg()[0]
        spawn = multiprocessing.get_context("spawn")
        results = spawn.Queue()
        seconds = 10.0 + SWAPS * EVERY_S
        asked = (server.port, requests, able * options.share, seconds, results)
        client = spawn.Process(target=_client, args=asked)
        client.start()
        began, swaps = results.get(timeout=60), []
        for number in range(SWAPS):
            time.sleep(max(0.0, began + 10.0 + number * EVERY_S - time.monotonic()))
            publishing.publish(runs[number + 1], "benchmark")
            swaps.append(time.monotonic() - began)
        seen = results.get(timeout=120)
        client.join(10)
        log = server.log.read_text()
        server.kill()
    catalogue = {run: "ab"[place % 2] for place, run in enumerate(runs)}
    told = [noted for noted in seen.noted if noted]
    mixed = [noted for noted in told if noted[0] and set(noted[2]) - {catalogue[noted[0]]}]
    turns = [next((m for m, n in sorted(zip(seen.moment, seen.noted, strict=True), key=lambda pair: pair[0])
                   if n and n[0] == run), None) for run in runs[1 : SWAPS + 1]]  # fmt: skip
    result = {
        "database": options.database,
        "items": options.items,
        "capacity a second": round(able, 1),
        "load": round(load, 1),
        "asked": len(seen.status),
        "statuses": dict(Counter(seen.status)),
        "answers by tier": {tier: sum(n[1] == tier for n in told) for tier in sorted({n[1] for n in told})},
        "answers that mix two models": len(mixed),
        "such as": mixed[:3],
        "usual": quantiles(within(seen, [(0.0, 10.0)])),
        "within 2 s after a publication": quantiles(within(seen, [(at, at + AFTER_S) for at in swaps])),
        "seconds until the first answer by the new model": [
            None if turn is None else round(turn - at, 2) for turn, at in zip(turns, swaps, strict=True)
        ],
        "faults in the log": log.count("Traceback"),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
