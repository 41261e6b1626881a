"""One click to a changed next page, over HTTP, as a new guest each time.

    make run            # in another terminal
    python -m tests.benchmarks.click --url http://localhost:8000 --clicks 200

Each round is a fresh guest: the home page, one item page (the click), the home page again. Reported are the times of
the click and of the next page, and the time from sending the click to having the changed page. It also counts the next
pages that show other items than the first, and those that give the click as a reason: an item that nobody has touched
before teaches the model nothing, and brings items of its category instead.
"""

import argparse
import http.client
import json
import random
import re
import statistics
import time
from urllib.parse import urlsplit

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--json")
    options = parser.parse_args()
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
        name: {"p50_ms": round(statistics.median(values), 1), "p99_ms": round(percentile(values, 0.99), 1)}
        for name, values in {"home": first, "click": click, "next page": page, "click to changed page": total}.items()
    }
    for name, figures in result.items():
        print(f"{name:22} p50 {figures['p50_ms']:7.1f} ms   p99 {figures['p99_ms']:7.1f} ms")
    print(f"Of {options.clicks} next pages {changed} show other items, {reasoned} name the click as the reason.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({**result, "changed": changed, "reasoned": reasoned, "clicks": options.clicks}, file, indent=2)


if __name__ == "__main__":
    main()
