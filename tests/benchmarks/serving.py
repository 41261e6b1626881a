"""What a recommendation costs, beside a Django view that does nothing but send the same bytes.

    python -m tests.benchmarks.serving --items 100000
    python -m tests.benchmarks.serving --items 1000000 --memory
    python -m tests.benchmarks.serving --items 1000000 --search-only [--gowalla]

A server as `manage.py up` starts it, with a database and a Redis of its own, over the world of `serving_world`. Both
addresses are asked in turns, several rounds each, by one client process with kept connections; told are medians of the
rounds. Requests are full ones: the key, the guard's counts (with limits nobody meets), a visitor with 30 events, fresh
history, seven sources of candidates, items read as they are now, rules, reasons. On a machine that others use too, CPU
seconds of the web processes per request say more than requests per second; both are told.
"""

import argparse
import json
import multiprocessing
import os
import selectors
import socket
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.served import Server, cpu_seconds, surroundings

ROUNDS, SECONDS, WARM = 5, 4.0, 400  # of each address, of a round, requests before anything counts
CONCURRENCY = (1, 8)


def ask(port: int, requests: list[bytes], connections: int, seconds: float, most: int, results: Any) -> None:
    """Send the requests in turn over some kept connections, each as soon as the last on it is answered."""
    wires = selectors.DefaultSelector()
    took: list[float] = []
    bad, number, waiting = 0, 0, {}

    def send(wire: socket.socket) -> None:
        nonlocal number
        wire.sendall(requests[number % len(requests)])
        number += 1
        waiting[wire] = (time.perf_counter(), b"", 0)

    began, until = time.perf_counter(), time.perf_counter() + seconds
    for _ in range(connections):
        wire = socket.create_connection(("127.0.0.1", port))
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wires.register(wire, selectors.EVENT_READ)
        send(wire)
    while waiting:
        for ready, _ in wires.select():
            wire: Any = ready.fileobj
            sent, held, whole = waiting[wire]
            held += wire.recv(65536)
            if not whole and (end := held.find(b"\r\n\r\n")) >= 0:
                head = held[:end].lower()
                whole = end + 4 + int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                bad += held[9:12] != b"200"
            if not whole or len(held) < whole:
                waiting[wire] = (sent, held, whole)
                continue
            now = time.perf_counter()
            took.append(now - sent)
            if now < until and len(took) < most:
                send(wire)
            else:
                del waiting[wire]
    results.put((took, time.perf_counter() - began, time.process_time(), bad))


def asked(
    port: int, requests: list[bytes], connections: int, seconds: float = SECONDS, most: int = 10**9
) -> dict[str, Any]:
    """One round of one address."""
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    client = spawn.Process(target=ask, args=(port, requests, connections, seconds, most, results))
    before = cpu_seconds()
    client.start()
    took, lasted, spent, bad = results.get(timeout=seconds + 120)
    after = cpu_seconds()
    client.join()
    took.sort()
    return {
        "a second": len(took) / lasted,
        "p50 ms": 1000 * took[len(took) // 2],
        "p99 ms": 1000 * took[int(len(took) * 0.99)],
        "web CPU ms": 1000 * (after["web"] - before["web"]) / len(took),
        "database CPU ms": 1000 * (after["database"] - before["database"]) / len(took),
        "redis CPU ms": 1000 * (after["redis"] - before["redis"]) / len(took),
        "client CPU": spent / lasted,
        "bad": bad,
    }


def requests_of(port: int, key: str, visitors: int) -> dict[str, list[bytes]]:
    from tests.benchmarks.serving_world import visitor_id

    head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\n\r\n"
    full = [f"GET /api/v1/recommendations?user_id={visitor_id(k)}&n=10 {head}".encode() for k in range(visitors)]
    return {"bare": [f"GET /bare {head}".encode()], "full": full}


def measured(server: Server, requests: dict[str, list[bytes]], rounds: int) -> dict[str, Any]:
    """By number of connections, both addresses side by side."""
    found: dict[str, Any] = {}
    for which in requests.values():
        asked(server.port, which, 8, 60, WARM * server.workers)
    for connections in CONCURRENCY:
        seen: dict[str, list[dict[str, Any]]] = {name: [] for name in requests}
        for _ in range(rounds):
            for name, which in requests.items():
                seen[name].append(asked(server.port, which, connections))
        told: dict[str, Any] = {
            name: {key: round(statistics.median(one[key] for one in each), 3) for key in each[0]}
            for name, each in seen.items()
        }

        def ratio(key: str, over: str, under: str, seen: dict[str, list[dict[str, Any]]] = seen) -> float:
            pairs = zip(seen[over], seen[under], strict=True)
            return round(statistics.median(a[key] / b[key] for a, b in pairs), 3)

        told["requests, full / bare"] = ratio("a second", "full", "bare")
        told["CPU, bare / full"] = ratio("web CPU ms", "bare", "full")
        told["p99, full / bare"] = ratio("p99 ms", "full", "bare")
        found[f"{connections} at once"] = told
    return found


def kept(pid: int) -> dict[str, float]:
    """MiB of a process: PSS, each page shared by k processes counting 1 / k; and its part of files and of the heap."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
    )
    return {name: int(fields[name].split()[0]) / 1024 for name in ("Pss", "Pss_Anon", "Pss_File", "Rss")}


def processes(server: Server) -> list[int]:
    """The web processes and the one that started them."""
    assert server.process is not None
    top = server.process.pid
    children = Path(f"/proc/{top}/task/{top}/children").read_text().split()
    return [top, *map(int, children)]


def memory(folder: Path, key: str, visitors: int) -> dict[str, Any]:
    """MiB of one and of four web processes, the one that starts them among them, when each has answered 200."""
    found: dict[str, Any] = {}
    for workers in (1, 4):
        server = Server(folder, workers).start()
        requests = requests_of(server.port, key, visitors)["full"]
        asked(server.port, requests, 4 * workers, 120, 4 * 200 * workers)
        each = [kept(pid) for pid in processes(server)]
        found[f"{workers}"] = {name: round(sum(one[name] for one in each), 1) for name in each[0]}
        found[f"{workers}"]["each Pss"] = [round(one["Pss"], 1) for one in each]
        server.kill()
    found["four / one"] = round(found["4"]["Pss"] / found["1"]["Pss"], 3)
    return found


def searched(vectors: Any, queries: Any, folder: Path, k: int = 100, times: int = 500) -> dict[str, Any]:
    """Of exact and faiss: seconds to build, MiB, recall@k against exact, milliseconds of one query on one thread."""
    import numpy as np

    from recommender.engine.index import INDEXES, IndexOptions, index_kind

    oracle, _ = index_kind("exact").open(folder, vectors).search(queries, k)
    found: dict[str, Any] = {}
    for name in INDEXES:
        directory = folder / f"index-{name}"
        directory.mkdir()
        began = time.perf_counter()
        index_kind(name).build(vectors, directory, IndexOptions())
        built = time.perf_counter() - began
        index = index_kind(name).open(directory, vectors)
        rows, _ = index.search(queries, k)
        recall = np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(rows, oracle, strict=True)])
        for query in queries[:50]:
            index.search(query[None], k)
        took = []
        for query in queries[: min(len(queries), times if name != "exact" else 50)]:
            began = time.perf_counter()
            index.search(query[None], k)
            took.append(1000 * (time.perf_counter() - began))
        took.sort()
        found[name] = {
            "build s": round(built, 1),
            "MiB": round(sum(file.stat().st_size for file in directory.iterdir()) / 2**20, 1),
            f"recall@{k}": round(float(recall), 4),
            "p50 ms": round(took[len(took) // 2], 3),
            "p99 ms": round(took[int(len(took) * 0.99)], 3),
        }
    return found


def gowalla() -> tuple[Any, Any]:
    """ALS's vectors of Gowalla, and those of users by their training events."""
    import numpy as np

    from recommender.engine.data.datasets import load_dataset
    from recommender.engine.options import Options
    from recommender.engine.trainers.als import AlsConfig, AlsTrainer

    data = load_dataset("gowalla").train
    learned = AlsTrainer.fit(data, AlsConfig(), Options())
    users = np.random.default_rng(9).permutation(len(data.users))[:2000]
    return learned["item_vectors"], AlsTrainer.query(learned, AlsConfig()).vectors(data.histories(users))


def queries_of(vectors: Any, taken: Any) -> Any:
    import numpy as np

    from recommender.engine.data.interactions import Histories
    from recommender.engine.trainers.fold_in import FoldInQuery

    starts = np.arange(len(taken) + 1, dtype=np.int64) * taken.shape[1]
    told = Histories(starts, taken.ravel(), np.ones(taken.size, np.float32), np.zeros(taken.size, np.int64))
    return FoldInQuery(vectors.items, vectors.lambda_, 0.5).vectors(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--model-only", action="store_true", help="no other source of candidates counts")
    parser.add_argument("--memory", action="store_true", help="also PSS of one and of four web processes")
    parser.add_argument("--search-only", action="store_true")
    parser.add_argument("--gowalla", action="store_true", help="also search in real vectors, from RECSITE_DATA")
    parser.add_argument("--keep", type=Path, help="a folder for the world, which is used again if it is there")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from tests.benchmarks import serving_world as world

    result: dict[str, Any] = {"items": options.items, "load": round(os.getloadavg()[0], 1)}
    vectors = world.vectors_of(options.items)
    with tempfile.TemporaryDirectory(prefix="recsite-serving-") as scratch:
        if options.search_only:
            taken = world.histories_of(vectors, 2000, seed=11)
            result["search"] = searched(vectors.items, queries_of(vectors, taken), Path(scratch))
            if options.gowalla:
                (Path(scratch) / "gowalla").mkdir()
                result["search, gowalla"] = searched(*gowalla(), Path(scratch) / "gowalla")
        else:
            result |= serve(options, vectors, options.keep or Path(scratch))
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def serve(options: argparse.Namespace, vectors: Any, folder: Path) -> dict[str, Any]:
    from tests.benchmarks import serving_world as world

    result: dict[str, Any] = {"database": options.database, "workers": options.workers}
    with surroundings(options.database, folder):
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.serving_settings"
        from recommender.models import Item
        from recommender.services import access, trending

        if not Item.objects.exists():
            taken = world.histories_of(vectors)
            world.fill(vectors, taken)
            world.publish(vectors, taken, mixed=not options.model_only)
            trending.refresh()
        _, key = access.create(f"benchmark {time.time()}", ["read"])
        (folder / "bare.json").write_bytes(b"{}")
        server = Server(folder, options.workers).start()
        requests = requests_of(server.port, key, world.VISITORS)
        path = requests["full"][0].split()[1].decode()
        asking = urllib.request.Request(server.url + path, headers={"X-API-Key": key})
        with urllib.request.urlopen(asking) as answer:
            body = answer.read()
        server.kill()
        (folder / "bare.json").write_bytes(body)
        shown = json.loads(body)
        result["answer"] = {"bytes": len(body), "tier": shown["tier"], "items": len(shown["items"])}
        server.start()
        result |= measured(server, requests, options.rounds)
        server.kill()
        if options.memory:
            result["memory, MiB"] = memory(folder, key, world.VISITORS)
        result["faults in the log"] = server.log.read_text().count("Traceback")
    return result


if __name__ == "__main__":
    main()
