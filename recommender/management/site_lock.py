"""One site per folder. The site's processes hold the lock together, so that those a killed launcher left are found."""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError

ENDS_WITHIN_S = 5.0  # seconds that the processes of a killed launcher get to be gone


class SiteLock:
    """The locked file, which says where the site is and which processes it consists of."""

    def __init__(self, file: IO[str], url: str) -> None:
        self._file = file
        self._said: dict[str, Any] = {"url": url, "launcher": os.getpid(), "children": {}}
        self._write()

    def fileno(self) -> int:
        return self._file.fileno()

    def note(self, name: str, pid: int) -> None:
        """Remember a process that inherited the lock."""
        self._said["children"][name] = pid
        self._write()

    def _write(self) -> None:
        self._file.truncate(0)
        self._file.write(json.dumps(self._said))
        self._file.flush()


@contextmanager
def only_one(path: Path, url: str) -> Iterator[SiteLock]:
    """Two sites on one folder would share a database and fight over ports. Raises CommandError while one runs."""
    with path.open("a+") as file:
        if not _locked(file):
            file.seek(0)
            said = _read(file.read())
            if _lives(said["launcher"]):
                raise CommandError(
                    f"This site already runs at {said['url']} (process {said['launcher']}); stop it first."
                )
            _end(said["children"].values())
            deadline = time.monotonic() + ENDS_WITHIN_S
            while not _locked(file):
                if time.monotonic() > deadline:
                    raise CommandError(f"Processes of a site that was killed are left: {said['children']}. End them.")
                time.sleep(0.1)
        yield SiteLock(file, url)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
        return {"url": str(said["url"]), "launcher": int(said["launcher"]), "children": dict(said["children"])}
    except (ValueError, TypeError, KeyError):
        return {"url": text.strip() or "an unknown address", "launcher": 0, "children": {}}


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _end(pids: Any) -> None:
    """Kill the groups that these processes lead; a number that has gone to another process leads none of ours."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if isinstance(pid, int) and pid > 1 and os.getsid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
