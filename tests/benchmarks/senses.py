"""Milliseconds of a search by photo, by sound, and of similar items, over HTTP.

    RECSITE_VAR=/tmp/site python manage.py migrate && RECSITE_VAR=/tmp/site python manage.py seed_demo
    RECSITE_VAR=/tmp/site python manage.py encode
    RECSITE_VAR=/tmp/site python -m tests.benchmarks.senses fill 10000     # or 1000000
    RECSITE_VAR=/tmp/site granian --interface wsgi --port 8000 --workers 2 recsite.wsgi:application   # another terminal
    python -m tests.benchmarks.senses ask --url http://localhost:8000 --key rs_... --searches 100

`fill` widens the encoded catalogue with made-up items until it has so many: each has a title and, in every modality, a
vector beside that of a real one. It prints a key for `ask`, which sends photos and recordings of its own making, one
after the other on one connection, and reports what the client waited.
"""

import argparse
import http.client
import io
import json
import os
import statistics
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import numpy as np

PREFIX = "made-up-"
NOISE = 0.5  # of a made-up vector against the real one it stands beside
ROWS = 20_000  # written at once


def fill(count: int, only: list[str]) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
    django.setup()
    from recommender.conf import conf
    from recommender.engine.content import FUSED, open_content, write_content
    from recommender.engine.data.ids import Ids
    from recommender.models import Encoding, Item
    from recommender.services import access
    from recommender.services.content import vectors

    root = conf().artifacts_dir
    content = open_content(root / vectors.live_content())
    random = np.random.default_rng(1)
    known = Item.objects.exclude(pk__startswith=PREFIX)
    real = list(known.values_list("category_id", "price")[:1000])
    names = [f"{PREFIX}{number:07d}" for number in range(max(0, count - known.count()))]
    for start in range(Item.objects.filter(pk__startswith=PREFIX).count(), len(names), ROWS):
        chosen = random.integers(0, len(real), ROWS)
        Item.objects.bulk_create(
            (
                Item(id=name, title=f"Made up {name[-7:]}", category_id=real[row][0], price=real[row][1])
                for name, row in zip(names[start : start + ROWS], chosen, strict=False)
            ),
            ignore_conflicts=True,
        )
    parts = {}
    for modality, stored in content.parts.items():
        if only and modality not in only:
            continue
        own = np.asarray(stored.vectors)
        made = np.empty((len(names), own.shape[1]), dtype=np.float32)
        for start in range(0, len(names), ROWS):
            block = made[start : start + ROWS]
            base = own[random.integers(0, len(own), len(block))]
            step = random.standard_normal(block.shape, dtype=np.float32) * np.float32(NOISE / own.shape[1] ** 0.5)
            block[:] = base + step
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        ids = [*stored.ids.ids(np.arange(len(stored.ids))), *names]
        order = np.argsort(np.array(ids))
        parts[modality] = Ids.of([ids[row] for row in order]), np.concatenate([own, made])[order]
        print(f"{modality}: {len(order):,} vectors of {own.shape[1]}")
    now = datetime.now(UTC)
    row = Encoding.objects.create(status=Encoding.Status.SUCCEEDED, finished_at=now, reason="made up")
    facts = {
        key: {m: v for m, v in content.manifest[key].items() if m in parts} for key in ("encoders", "encoded_until")
    }
    fusion = content.fusion if FUSED in parts else None
    started = time.perf_counter()
    path = write_content(root, f"content-{row.pk:06d}", parts, fusion, {"encoding": row.pk, **facts}, "auto")
    Encoding.objects.filter(pk=row.pk).update(artifact=path.name)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(f"{path.name}: {size / 2**20:,.0f} MB, {FUSED} and all, written in {time.perf_counter() - started:.0f} s")
    print("key:", access.create("benchmark", ["read"])[1])


def photo(number: int) -> bytes:
    """A JPEG as a phone's browser sends it: 1,024 by 768 pixels of coloured shapes."""
    from PIL import Image

    random = np.random.default_rng(number)
    small = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((1024, 768), Image.Resampling.BICUBIC).save(file, "JPEG", quality=92)
    return file.getvalue()


def recording(number: int) -> bytes:
    """A WAV as a browser records it: five seconds of chords at 48 kHz, one channel of 16 bits."""
    import soundfile

    random = np.random.default_rng(number)
    at = np.arange(5 * 48_000) / 48_000
    chord = sum(np.sin(2 * np.pi * hertz * at) for hertz in random.uniform(100, 2000, 4)) / 5
    file = io.BytesIO()
    soundfile.write(file, chord, 48_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def asked(connection: http.client.HTTPConnection, method: str, path: str, key: str, body: bytes, kind: str) -> float:
    started = time.perf_counter()
    connection.request(method, path, body=body or None, headers={"X-API-Key": key, "Content-Type": kind})
    answer = connection.getresponse()
    data = json.loads(answer.read())
    took_ms = (time.perf_counter() - started) * 1000
    if answer.status != 200 or not data["items"]:
        raise SystemExit(f"{path} answered {answer.status}: {data}")
    return took_ms


def ask(url: str, key: str, searches: int, item: str) -> dict[str, dict[str, float]]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "localhost", where.port or 80, timeout=60)
    base, found = "/api/v1", {}
    for name, method, path, make, kind in (
        ("photo", "POST", f"{base}/search/photo?n=24", photo, "image/jpeg"),
        ("sound", "POST", f"{base}/search/sound?n=24", recording, "audio/wav"),
        ("similar by content", "GET", f"{base}/items/{item}/similar?by=content&n=12", lambda n: b"", ""),
        ("similar, both", "GET", f"{base}/items/{item}/similar?n=12", lambda n: b"", ""),
    ):
        bodies = [make(number) for number in range(searches)]
        took = [asked(connection, method, path, key, body, kind) for body in bodies]
        later = sorted(took[4:] or took)  # the first ones open the encoder in each process
        found[name] = {
            "first_ms": round(took[0], 1),
            "p50_ms": round(statistics.median(later), 1),
            "p90_ms": round(later[int(0.9 * len(later))], 1),
        }
        print(f"{name:20} " + "  ".join(f"{label} {value:8.1f}" for label, value in found[name].items()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    filling = commands.add_parser("fill")
    filling.add_argument("count", type=int)
    filling.add_argument("--only", nargs="*", default=[], help="text, image, audio, fused; an index takes its time")
    asking = commands.add_parser("ask")
    asking.add_argument("--url", default="http://localhost:8000")
    asking.add_argument("--key", required=True)
    asking.add_argument("--searches", type=int, default=100)
    asking.add_argument("--item", required=True, help="id of an item whose neighbours are asked for")
    asking.add_argument("--json")
    options = parser.parse_args()
    if options.command == "fill":
        fill(options.count, options.only)
        return
    found = ask(options.url, options.key, options.searches, options.item)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
