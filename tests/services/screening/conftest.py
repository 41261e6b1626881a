"""Screening is on, and looks with the eyes that a test gives it."""

from collections.abc import Callable
from typing import Any

import pytest

from recommender.services.screening import detection


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
