"""Where a search remembers what it found, in a folder of its own that one process at a time may write.

study.journal     Optuna's journal: a line of JSON for all that happened, with a study for each trainer
NAME-NUMBER.npy   float64 (V,): what a trial of the study NAME reached for each validation user, so that trials of
                  different days and trainers can be compared on the same users
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import StudyBusy, StudyDamaged

if TYPE_CHECKING:  # Optuna is imported where it works: pages read what a search found without it
    import optuna

JOURNAL, BUSY = "study.journal", "study.busy"


class Store:
    """Studies by name. Without a folder, they are forgotten with the process."""

    def __init__(self, storage: "optuna.storages.BaseStorage", folder: Path | None = None) -> None:
        self._storage = storage
        self._folder = folder
        self._kept: dict[tuple[str, int], NDArray[np.float64]] = {}

    @classmethod
    def in_memory(cls) -> "Store":
        import optuna

        return cls(optuna.storages.InMemoryStorage())

    def study(self, name: str, pruner: "optuna.pruners.BasePruner") -> "optuna.Study":
        """The study of that name, which maximises; new where there is none. Raises StudyDamaged."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of every trial otherwise, beside our own words
        with _readable(self._folder):
            study = optuna.create_study(
                storage=self._storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
            )
            study.get_trials(deepcopy=False)
        return study

    def keep(self, name: str, number: int, values: NDArray[np.float64]) -> None:
        """Remember a trial's figures of each user (V,)."""
        if self._folder is None:
            self._kept[name, number] = values
        else:
            np.save(self._path(self._folder, name, number), values, allow_pickle=False)

    def values(self, name: str, number: int, users: int) -> NDArray[np.float64] | None:
        """A trial's figures of each user (V,); None where they are lost."""
        if self._folder is None:
            return self._kept.get((name, number))
        try:
            found: NDArray[np.float64] = np.load(self._path(self._folder, name, number), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if found.shape == (users,) else None

    @staticmethod
    def _path(folder: Path, name: str, number: int) -> Path:
        return folder / f"{name}-{number:05d}.npy"


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """The store in `folder`, made where there is none, for this process alone.

    Raises StudyBusy while another process has it, StudyDamaged where its journal cannot be read.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / BUSY).open("a") as busy:
        try:
            fcntl.flock(busy, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyBusy(f"{folder.name}: wait for it, or give yours another name.") from error
        path = folder / JOURNAL
        # As the lock above is ours, whoever left these behind is dead.
        path.with_name(f"{JOURNAL}.lock").unlink(missing_ok=True)
        _cut_unfinished_line(path)
        with _readable(folder):
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))
        yield Store(storage, folder)


@contextmanager
def _readable(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a line that is not JSON, or not what belongs there: each fails in its own way
        raise StudyDamaged(
            f"{folder}: {type(error).__name__}: {error}. Move that folder away, or give the study another name."
        ) from error


def _cut_unfinished_line(path: Path) -> None:
    """A process killed while it wrote leaves half a line, which the next line would be glued to."""
    if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)
