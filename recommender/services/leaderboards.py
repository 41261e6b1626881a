"""What tuning found, one table for each study: the console shows them, runs are asked for from them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from recommender.conf import conf
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.trials import State, Trial
from recommender.models import Run
from recommender.services import training
from recommender.services.errors import InvalidInput, UnknownStudy

FORMAT = 1  # raised whenever an older reader could misread what is written
FILE = "leaderboard.json"
SITE = "site"  # the source of a study of the site's own events


@dataclass(frozen=True)
class Entry:
    trainer: str
    trial: Trial
    behind: Interval | None = None
    """How much better the best one is, over the same users; None for the best, and where not all users were asked."""
    leads: bool = False

    @property
    def standing(self) -> str:
        """best; tie, where chance explains that it is behind the best; worse; or how it ended if not well."""
        if self.trial.state != State.DONE or self.leads:
            return "best" if self.leads else self.trial.state.value
        if self.behind is None:  # whose figures of each user are lost
            return "unclear"
        return "tie" if self.behind.low <= 0 else "worse"

    @property
    def is_first(self) -> bool:
        """Whether these are the settings that its search began with."""
        return self.trial.number == 0

    @property
    def settings(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.trial.config.items()) or "defaults"

    def as_json(self) -> dict[str, Any]:
        behind = self.behind.as_json() if self.behind else None
        found = {"trainer": self.trainer, **self.trial.as_json(), "standing": self.standing}
        return {**found, "leads": self.leads, "behind": behind}


@dataclass(frozen=True)
class Board:
    study: str
    source: str
    """SITE, or the name of the data set."""
    protocol: str
    """What was learned from and what was asked for, in words."""
    metric: str
    """Such as ndcg@10."""
    users: int
    """Validation users that every value is a mean of."""
    seed: int
    updated_at: datetime
    ended: str
    """How the last session ended: finished, interrupted, failed; running where it has not, or was killed."""
    entries: tuple[Entry, ...]
    """Best first; none without an entry."""
    out: Mapping[str, str] = field(default_factory=dict)
    """Why a trainer could not take part, by name."""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Entry | None:
        return self.entries[0] if self.entries and self.entries[0].leads else None

    @property
    def of_site(self) -> bool:
        return self.source == SITE

    def count(self, state: State) -> int:
        return sum(entry.trial.state == state for entry in self.entries)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            **{
                name: getattr(self, name)
                for name in ("study", "source", "protocol", "metric", "users", "seed", "ended")
            },
            "updated_at": self.updated_at.isoformat(),
            "out": dict(self.out),
            "versions": dict(self.versions),
            "entries": [entry.as_json() for entry in self.entries],
        }


def write(board: Board) -> Path:
    """Put it beside its study, whole or not at all."""
    path = conf().tuning_dir / board.study / FILE
    aside = path.with_suffix(f".{os.getpid()}.aside")
    aside.write_text(json.dumps(board.as_json(), indent=1, allow_nan=False))
    aside.replace(path)
    return path


def stored() -> tuple[list[Board], list[str]]:
    """Every board, the latest first, and the names of those that cannot be read."""
    boards, damaged = [], []
    for path in sorted(conf().tuning_dir.glob(f"*/{FILE}")):
        try:
            boards.append(_read(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            damaged.append(path.parent.name)
    return sorted(boards, key=lambda board: board.updated_at, reverse=True), damaged


def find(study: str | None = None, source: str | None = None) -> Board:
    """The board of that name, or the latest of that source. Raises UnknownStudy."""
    boards, damaged = stored()
    fitting = [b for b in boards if study in (None, b.study) and source in (None, b.source)]
    if fitting:
        return fitting[0]
    if study in damaged:
        raise UnknownStudy(
            f"The leaderboard of {study} cannot be read; `manage.py tune --study {study}` writes it anew."
        )
    names = ", ".join(board.study for board in boards) or "none yet"
    raise UnknownStudy(f"{study or f'Of {source}'}: stored are {names}.")


def table(board: Board, rows: int = 15) -> list[str]:
    """Lines: the best `rows` entries with their intervals, what they cost, and their settings."""
    header = ["", "trainer", f"{board.metric} [95 %]", "behind the best", "fit s", "ask s", "settings"]
    cells = [
        [
            entry.standing,
            entry.trainer,
            _figure(entry.trial.value, entry.trial.low, entry.trial.high),
            _figure(*vars(entry.behind).values()) if entry.behind else "",
            f"{entry.trial.fit_s:.1f}",
            f"{entry.trial.score_s:.1f}",
            entry.settings
            + (" (first)" if entry.is_first else "")
            + (f": {entry.trial.note}" if entry.trial.note else ""),
        ]
        for entry in board.entries[:rows]
    ]
    widths = [max(len(row[column]) for row in [header, *cells]) for column in range(len(header))]
    lines = [header, ["-" * width for width in widths], *cells]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines]


def notes(board: Board) -> list[str]:
    """What the table leaves out, in sentences."""
    counts = ", ".join(f"{board.count(state)} {state.value}" for state in State if board.count(state))
    said = [
        f"{board.study}: {board.protocol}.",
        f"{len(board.entries)} settings ({counts}), each judged by the same {board.users:,} users, seed {board.seed}.",
    ]
    if ties := sum(entry.standing == "tie" for entry in board.entries):
        said.append(f"{ties} tie with the best: chance explains the difference.")
    if board.ended == "running":
        said.append("The search had not ended when this was written.")
    said += [f"{name} could not take part: {why}" for name, why in board.out.items()]
    return said


def _figure(value: float, low: float, high: float) -> str:
    if not isfinite(value):
        return "-"
    return f"{value:.4f} [{low:.4f}, {high:.4f}]" if isfinite(low) else f"{value:.4f}"


def request_training(entry: Entry, board: Board, requested_by: str = "") -> Run:
    """Queue a run with an entry's trainer and settings; the caller wakes a worker once the row is committed.

    Raises InvalidInput where it was tuned on other data than the site's, RunActive, InvalidConfig.
    """
    if not board.of_site:
        raise InvalidInput(f"{board.study} was tuned on {board.source}, which says nothing about this site's visitors.")
    return training.request(
        entry.trainer, entry.trial.config, requested_by, reason(entry, board), options={"seed": board.seed}
    )


def reason(entry: Entry, board: Board) -> str:
    """What a run with these settings says of where they come from."""
    return f"tuned: {board.metric} {entry.trial.value:.4f} on the validation part ({board.study})"[: Run.MAX_REASON]


def _read(path: Path) -> Board:
    said = json.loads(path.read_text())
    if said["format"] != FORMAT:
        raise ValueError(f"format {said['format']!r}")
    board = Board(
        study=path.parent.name,
        source=str(said["source"]),
        protocol=str(said["protocol"]),
        metric=str(said["metric"]),
        users=int(said["users"]),
        seed=int(said["seed"]),
        updated_at=datetime.fromisoformat(said["updated_at"]),
        ended=str(said["ended"]),
        entries=tuple(_entry(row) for row in said["entries"]),
        out={str(name): str(why) for name, why in said["out"].items()},
        versions=dict(said["versions"]),
    )
    if board.updated_at.tzinfo is None:
        raise ValueError("updated_at names no zone")
    return board


def _entry(row: Mapping[str, Any]) -> Entry:
    behind = (
        None if row["behind"] is None else Interval(*(float(row["behind"][key]) for key in ("value", "low", "high")))
    )
    return Entry(str(row["trainer"]), Trial.from_json(row), behind, bool(row["leads"]))
