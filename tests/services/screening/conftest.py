"""Screening is on, and looks with the eyes that a test gives it; limits are what a test says, and so is the time."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache

from recommender.services.screening import access_log, counters, detection


@pytest.fixture
def screening_on(settings: Any, db: None, _own_state: None) -> Callable[..., None]:
    """screening_on(**settings): turned on, for profiles alone unless told otherwise."""

    def turn(**values: Any) -> None:
        settings.RECOMMENDER = {**settings.RECOMMENDER, "screening": {"subjects": ["profile"], **values}}

    turn()
    return turn


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """eyes(profile=find, ...): what judges each subject."""

    def look(**finders: Any) -> None:
        monkeypatch.setattr(detection, "finder", lambda name: finders[name])

    return look


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    """For tests without a database, too, which tests/conftest.py leaves alone."""
    cache.clear()
    counters.forget()
    yield
    counters.forget()
    access_log.forget()


@pytest.fixture
def guard(settings: Any) -> Callable[..., None]:
    """guard(**settings): of the limits in the request path."""

    def guard(**values: Any) -> None:
        settings.RECOMMENDER = {**settings.RECOMMENDER, "guard": values}

    return guard


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """clock(seconds): what time it is, from the start of a window of every length."""
    start = 86_400 * 3600 * 5

    def clock(seconds: float) -> None:
        monkeypatch.setattr(counters.time, "time", lambda: start + seconds)

    clock(0)
    return clock
