"""One site per folder, also after its launcher was killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from recommender.management.site_lock import only_one

KILLED = """
import os, subprocess, sys
from pathlib import Path
from recommender.management.site_lock import only_one
with only_one(Path(sys.argv[1]), "http://localhost:1/") as lock:
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(["sleep", "60"], start_new_session=True, pass_fds=[lock.fileno()], **silent)
    lock.note("worker", child.pid)
    print(child.pid, flush=True)
    os._exit(9)
"""


def test_a_second_one_is_refused_and_told_where_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    with (
        only_one(path, "http://localhost:1234/"),
        pytest.raises(CommandError, match=f"localhost:1234/ .process {os.getpid()}"),
        only_one(path, "http://localhost:5678/"),
    ):
        pass
    with only_one(path, "http://localhost:5678/"):
        assert "5678" in path.read_text()


@pytest.mark.parametrize("text", ["", "http://localhost:8000/", "[]", '{"url": 1}', '{"url":"x","launcher":"y"}'])
def test_whatever_the_file_says_an_unlocked_one_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "up.lock"
    path.write_text(text)
    with only_one(path, "http://localhost:1/"):
        assert "localhost:1" in path.read_text()


def test_what_a_killed_launcher_left_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    killed = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True, text=True, check=False)
    assert killed.returncode == 9, killed.stderr
    left = int(killed.stdout)
    os.kill(left, 0)  # it lives on, and holds the lock
    with only_one(path, "http://localhost:2/"):
        deadline = time.monotonic() + 5
        while _lives(left):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Not so for a zombie that nobody has buried yet."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()[:1] not in ("", "Z")
