"""One click to a changed next page, and one event to a changed next answer of the API, over HTTP.

    python -m tests.benchmarks.click --database sqlite --clicks 200
    python -m tests.benchmarks.click --url http://localhost:8000 --clicks 200 --key rs_...     # a site that runs

Without an address, a server with two web processes, a database and a Redis of their own is started, over a shop of
2,000 items with a model that serves.

At the API each round is a new user (an account's id) and then a new session (a guest): what is recommended, one event,
and what is recommended then. The time that counts is that of the second answer, from the event's own answer on.

In the shop each round is a fresh guest: the home page, one item page (the click), the home page again. Reported are
the times of the click and of the next page, and the time from sending the click to having the changed page. It also
counts the next pages that show other items than the first, and those that give the click as a reason: an item that
nobody has touched before teaches the model nothing, and brings items of its category instead.
"""

import argparse
import http.client
import json
import random
import re
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks import overload
from tests.served import Server, surroundings

ITEM_LINK = re.compile(r'href="(/item/[^"?]+/)[^"]*"')


def get(connection: http.client.HTTPConnection, path: str, cookies: dict[str, str]) -> tuple[str, float]:
    """The page and the milliseconds it took; cookies that it sets are kept."""
    started = time.perf_counter()
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection.request("GET", path, headers={"Cookie": sent} if sent else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    took_ms = (time.perf_counter() - started) * 1000
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}.")
    for header in answer.headers.get_all("Set-Cookie", []):
        name, _, value = header.split(";")[0].strip().partition("=")
        cookies[name] = value
    return body, took_ms


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def ask(
    connection: http.client.HTTPConnection, key: str, method: str, path: str, body: Any = None
) -> tuple[Any, float]:
    """The API's answer and the milliseconds it took."""
    started = time.perf_counter()
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    took_ms = (time.perf_counter() - started) * 1000
    if answer.status not in (200, 201):
        raise SystemExit(f"{path} answered {answer.status}: {said}")
    return said, took_ms


def next_answers(connection: http.client.HTTPConnection, key: str, rounds: int) -> dict[str, Any]:
    """For accounts and for guests: the times of an event and of the next answer, and how many answers changed."""
    items = [item["item_id"] for item in ask(connection, key, "GET", "popular?n=100")[0]["items"]]
    rng, found = random.Random(7), {}
    for name, field in (("accounts", "user_id"), ("guests", "session_id")):
        own, following, changed = [], [], 0
        for number in range(rounds):
            who = f"click-{rng.getrandbits(48):x}-{number}"
            path = f"recommendations?{field}={who}&n=10"
            before, _ = ask(connection, key, "GET", path)
            event = {"event_id": str(uuid.uuid4()), "kind": "like", "item_id": rng.choice(items), field: who}
            _, own_ms = ask(connection, key, "POST", "events", event)
            after, next_ms = ask(connection, key, "GET", path)
            changed += [i["item_id"] for i in before["items"]] != [i["item_id"] for i in after["items"]]
            own.append(own_ms)
            following.append(next_ms)
        found[f"{name}: event"], found[f"{name}: next answer"] = own, following
        print(f"Of {rounds} next answers to {name} {changed} changed.")
    return {name: timed(values) for name, values in found.items()}


def timed(values: list[float]) -> dict[str, float]:
    return {"p50_ms": round(statistics.median(values), 1), "p99_ms": round(percentile(values, 0.99), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="Of a site that runs.")
    parser.add_argument("--key", help="An API key of it, with the scopes read and ingest.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.url:
        measure(options)
        return
    with tempfile.TemporaryDirectory(prefix="recsite-click-") as folder, surroundings(options.database, Path(folder)):
        options.key = overload.fill()[0]
        server = Server(Path(folder)).start()
        options.url = server.url
        try:
            measure(options)
        finally:
            server.kill()


def measure(options: argparse.Namespace) -> None:
    where = urlsplit(options.url)
    connection = http.client.HTTPConnection(where.hostname or "localhost", where.port or 80, timeout=30)
    rng = random.Random(42)
    first, click, page, total, changed, reasoned = [], [], [], [], 0, 0
    for _ in range(options.clicks):
        cookies: dict[str, str] = {}
        before, first_ms = get(connection, "/", cookies)
        links = sorted(set(ITEM_LINK.findall(before)))
        _, click_ms = get(connection, rng.choice(links), cookies)
        after, page_ms = get(connection, "/", cookies)
        changed += set(ITEM_LINK.findall(after)) != set(links)
        reasoned += "Because you looked at" in after
        first.append(first_ms)
        click.append(click_ms)
        page.append(page_ms)
        total.append(click_ms + page_ms)
    result = {
        name: timed(values)
        for name, values in {"home": first, "click": click, "next page": page, "click to changed page": total}.items()
    }
    if options.key:
        result |= next_answers(connection, options.key, options.clicks)
    for name, figures in result.items():
        print(f"{name:22} p50 {figures['p50_ms']:7.1f} ms   p99 {figures['p99_ms']:7.1f} ms")
    print(f"Of {options.clicks} next pages {changed} show other items, {reasoned} name the click as the reason.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({**result, "changed": changed, "reasoned": reasoned, "clicks": options.clicks}, file, indent=2)


if __name__ == "__main__":
    main()
