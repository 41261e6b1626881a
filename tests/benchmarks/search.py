"""Milliseconds per search over HTTP, in a made catalogue of a given size.

    export RECSITE_VAR=/tmp/search-10k            # a database of its own
    python manage.py migrate && python -m tests.benchmarks.search --fill 10000
    python manage.py encode                       # for search by meaning; leave it out to measure words alone
    python manage.py collectstatic --noinput && granian --interface wsgi --port 8000 recsite.wsgi:application
    python -m tests.benchmarks.search --url http://localhost:8000 --searches 200

Titles and descriptions are made of words as frequent as words are (Zipf). Searched for are frequent and seldom words,
two words, whole titles, sentences, misspelled words and nonsense, each time others, by a guest who is known by a cookie
but has no history. Pages are the shop's, whole; suggestions are what the box asks for while somebody types.
"""

import argparse
import http.client
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from tests.benchmarks.click import get, percentile

if TYPE_CHECKING:
    from recommender.models import Item

SEED = 42
WORDS = 60_000  # of the made language
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "il", "on", "us")]
CATEGORIES = 40
BATCH = 5_000


def language() -> tuple[list[str], list[float]]:
    """The words, the most frequent first, and their cumulated weights."""
    rng = random.Random(SEED)
    words: dict[str, None] = {}
    while len(words) < WORDS:
        words["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4)))] = None
    total, weights = 0.0, []
    for place in range(WORDS):
        total += 1 / (place + 10)
        weights.append(total)
    return list(words), weights


def titles(count: int) -> Iterator[list[str]]:
    words, weights = language()
    rng = random.Random(SEED + 1)
    for _ in range(count):
        yield rng.choices(words, cum_weights=weights, k=rng.randint(2, 6))


def fill(count: int) -> None:
    """Write `count` items into the database that the settings name, and what a large shop's worker would besides."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
    import django

    django.setup()
    from recommender.models import Category, Item
    from recommender.services.search import spelling

    words, weights = language()
    rng = random.Random(SEED + 2)
    Category.objects.bulk_create(
        [Category(slug=f"category-{number}", name=words[200 + number].capitalize()) for number in range(CATEGORIES)],
        ignore_conflicts=True,
    )

    def items() -> Iterator["Item"]:
        for number, title in enumerate(titles(count)):
            yield Item(
                id=f"item-{number:07d}",
                title=" ".join(title).capitalize(),
                creator=" ".join(word.capitalize() for word in rng.choices(words, k=2)),
                description=" ".join(rng.choices(words, cum_weights=weights, k=25)).capitalize() + ".",
                category_id=f"category-{rng.randrange(CATEGORIES)}",
                price=rng.randint(100, 20_000) / 100,
                stock=rng.randrange(20),
                attributes={"format": rng.choice("ABCDE"), "signed": rng.random() < 0.1},
            )

    began = time.perf_counter()
    batch: list[Item] = []
    for item in items():
        batch.append(item)
        if len(batch) == BATCH:
            Item.objects.bulk_create(batch)
            batch.clear()
    Item.objects.bulk_create(batch)
    print(f"{count:,} items written and indexed in {time.perf_counter() - began:.0f} s.")
    began = time.perf_counter()
    spelling.refresh(always=True)
    print(f"Their words counted in {time.perf_counter() - began:.0f} s.")


def questions(count: int, items: int) -> dict[str, list[str]]:
    """What is searched for, by kind, `count` of each."""
    words, weights = language()
    rng = random.Random(SEED + 3)
    known = [title for number, title in enumerate(titles(min(items, 20_000))) if number % 3 == 0]

    def misspelled(word: str) -> str:
        place = rng.randrange(1, len(word) - 1)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]

    makers: dict[str, Callable[[], str]] = {
        "a frequent word": lambda: rng.choice(words[:200]),
        "a seldom word": lambda: rng.choice(words[5_000:40_000]),
        "two words": lambda: " ".join(rng.sample(rng.choice(known), 2)),
        "a whole title": lambda: " ".join(rng.choice(known)),
        "a sentence": lambda: " ".join(rng.choices(words, cum_weights=weights, k=9)),
        "a misspelled word": lambda: misspelled(
            rng.choice([word for word in rng.choice(known) if len(word) > 5] or ["banana"])
        ),
        "nonsense": lambda: "".join(rng.choices("qwxyhj", k=9)),
    }
    return {kind: [make() for _ in range(count)] for kind, make in makers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fill", type=int, metavar="ITEMS", help="make the catalogue, and measure nothing")
    parser.add_argument(
        "--items", type=int, default=10_000, help="how many the catalogue has, to search for what is there"
    )
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--searches", type=int, default=100, help="of each kind")
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.fill:
        fill(options.fill)
        return
    where = urlsplit(options.url)
    connection = http.client.HTTPConnection(where.hostname or "localhost", where.port or 80, timeout=60)
    cookies: dict[str, str] = {}
    for _ in range(3):  # each process opens what it needs with its first search
        get(connection, "/search/?q=warm+up", cookies)
    result = {}
    for kind, asked in questions(options.searches, options.items).items():
        page = [get(connection, f"/search/?q={quote(one)}", cookies)[1] for one in asked]
        typed = [
            get(connection, f"/search/suggest?q={quote(one[: max(2, len(one) // 2)])}", cookies)[1] for one in asked
        ]
        for name, values in ((kind, page), (f"{kind}, suggested", typed)):
            result[name] = {
                "p50_ms": round(statistics.median(values), 1),
                "p95_ms": round(percentile(values, 0.95), 1),
                "worst_ms": round(max(values), 1),
            }
            print(f"{name:30} " + "   ".join(f"{key[:-3]} {figure:7.1f} ms" for key, figure in result[name].items()))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    main()
