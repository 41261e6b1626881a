"""The launcher looks after its processes. The whole of it runs in the journeys."""

import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from recommender.management.commands import up
from recommender.management.site_lock import only_one


@pytest.fixture
def launcher(settings, tmp_path: Path) -> Iterator[up.Command]:
    settings.VAR_DIR = tmp_path
    command = up.Command(stdout=io.StringIO(), stderr=io.StringIO())
    command.children, command.ended, command.host, command.port = {}, {}, "127.0.0.1", 8000
    before = {number: signal.getsignal(number) for number in up.STOPS}
    with only_one(tmp_path / "up.lock", "http://localhost:1/") as command.lock:
        yield command
        command.stop_all()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_process_that_is_killed_is_started_again_and_the_others_go_on(launcher: up.Command) -> None:
    launcher.start("redis", ["sleep", "60"])
    launcher.start("web", ["sleep", "60"])
    killed, other = launcher.children["redis"].pid, launcher.children["web"].pid
    os.kill(killed, signal.SIGKILL)
    while launcher.children["redis"].pid == killed:
        launcher.revive()
        time.sleep(0.01)
    assert launcher.alive()
    assert launcher.children["web"].pid == other
    assert "redis ended with code -9" in launcher.stderr.getvalue()


def test_a_process_that_keeps_ending_ends_the_site_with_its_last_words(launcher: up.Command) -> None:
    launcher.start("worker", ["sh", "-c", "echo no such broker; exit 3"])
    with pytest.raises(CommandError, match=r"(?s)worker ended with code 3.*no such broker"):
        for _ in range(500):
            launcher.revive()
            time.sleep(0.01)
    assert launcher.stderr.getvalue().count("starting it again") == up.RESTARTS


@pytest.mark.parametrize("port", [-1, 0, 65536, 99_999])
def test_what_is_no_port_is_refused(launcher: up.Command, port: int) -> None:
    launcher.port = port
    with pytest.raises(CommandError, match="from 1 to 65535"):
        launcher.check_port()
