"""The model that answers: the pointer is read for every page, the files behind it are opened once per process.

Opening reads and hashes whole files. In a web process a thread does so, and the model before answers until it is done.
"""

import logging
import threading
import time
from dataclasses import dataclass

from recommender.conf import conf
from recommender.engine.errors import RecommenderError
from recommender.engine.model import LiveModel, open_model
from recommender.models import Run
from recommender.services import publishing
from recommender.services.experiments import assignment

log = logging.getLogger(__name__)

OPEN_AGAIN_AFTER_S = 30.0  # seconds until an artifact that could not be opened is looked at again
MOST_OPEN = 4  # models of a process: the live one, the one before while requests hold it, and those of an experiment


@dataclass(frozen=True)
class Live:
    """The model that serves this request; taken once per request so that no page mixes two."""

    run_id: int | None
    model: LiveModel | None


_opened: dict[int, LiveModel] = {}  # in the order in which they were opened
_broken: dict[int, float] = {}  # runs that could not be opened: when (monotonic seconds) to try again
_opening = threading.Lock()
_aside = False  # whether a thread opens what is asked for while something else can answer
_underway: set[int] = set()  # runs that a thread is opening
_last: Live = Live(None, None)  # what answered last, to go on while another is opened


def live(visitor_id: str | None = None) -> Live:
    """The run that serves this visitor, and its model. Without a usable one, (run_id, None) or (None, None)."""
    global _last
    assigned = assignment.of(visitor_id)
    if assigned is not None and assigned.run_id is not None and (model := _model(assigned.run_id)) is not None:
        return Live(assigned.run_id, model)
    run_id = publishing.live_run_id()
    if run_id is None:
        return Live(None, None)
    model = _model(run_id)
    if model is None and _last.model is not None and time.monotonic() >= _broken.get(run_id, 0.0):
        return _last  # until the other is open
    _last = Live(run_id, model)
    return _last


def start() -> None:
    """Open models aside from the next one on, as web processes do."""
    global _aside
    _aside = True


def _model(run_id: int) -> LiveModel | None:
    """The run's model; None where it cannot be opened, or is being opened aside."""
    model = _opened.get(run_id)
    if model is not None or time.monotonic() < _broken.get(run_id, 0.0):  # hashing a damaged one again costs us dear
        return model
    if not _aside or _last.model is None:  # nothing else could answer meanwhile
        with _opening:
            return _opened.get(run_id) or _open(run_id, _artifact(run_id))
    with _opening:
        if run_id not in _opened and run_id not in _underway:
            _underway.add(run_id)
            threading.Thread(target=_open_aside, args=(run_id, _artifact(run_id)), daemon=True).start()
    return _opened.get(run_id)


def _artifact(run_id: int) -> str:
    return Run.objects.values_list("artifact", flat=True).get(pk=run_id)


def _open_aside(run_id: int, artifact: str) -> None:
    try:
        _open(run_id, artifact)
    except Exception:
        log.exception("Run %s cannot be opened; the model before goes on.", run_id)
        _broken[run_id] = time.monotonic() + OPEN_AGAIN_AFTER_S
    finally:
        _underway.discard(run_id)


def _open(run_id: int, artifact: str) -> LiveModel | None:
    if time.monotonic() < _broken.get(run_id, 0.0):
        return None
    try:
        model = open_model(conf().artifacts_dir / artifact)
    except (RecommenderError, OSError):
        log.exception("Run %s is to serve but cannot be opened; other tiers serve instead.", run_id)
        _broken[run_id] = time.monotonic() + OPEN_AGAIN_AFTER_S
        return None
    try:
        model.warm()
    except Exception:
        log.exception("Run %s fails; each answer tries it, and has others to fall back on.", run_id)
    while len(_opened) >= MOST_OPEN:  # its files stay mapped until the last request that holds it is done
        del _opened[next(iter(_opened))]
    _opened[run_id] = model
    return model


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    global _aside, _last
    _aside, _last = False, Live(None, None)
    _opened.clear()
    _broken.clear()
