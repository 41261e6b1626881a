"""What every test shares: state in a temporary folder, and a process that remembers nothing from the test before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns without it
# Tests that mostly wait, for sites, brokers and workers of their own; and those of the others that take longest.
WAITING = ("tests/journeys/", "tests/workers/")
LONGEST = (*WAITING, "tests/engine/anomaly/subjects/", "tests/test_embeddings_guide.py")
ENCODERS = {"text": {"name": "hashing"}, "image": None, "audio": None}  # quick ones; tests of others say so


@pytest.fixture(autouse=True)
def _own_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Artifacts, pictures and caches of its own for each test that touches the database."""
    if not ({"db", "transactional_db"} & set(request.fixturenames)) and not request.node.get_closest_marker(
        "django_db"
    ):
        yield
        return
    settings = request.getfixturevalue("settings")
    tmp_path: Path = request.getfixturevalue("tmp_path")
    settings.RECOMMENDER = {
        **settings.RECOMMENDER,
        "artifacts_dir": tmp_path / "artifacts",
        "encoders": ENCODERS,
        "serving": {"explore": 0},  # what a test sees is not left to chance
        "screening": {"on": False},  # shops of tests do alike by design; tests of screening turn it on
    }
    settings.MEDIA_ROOT = tmp_path / "media"
    # Tests need no hashed file names; the manifest is made by collectstatic, which `manage.py up` runs.
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    from django.core.cache import cache

    from recommender.services import rules, serving, shared_words
    from recommender.services.content import vectors
    from recommender.services.experiments import answers, assignment
    from recommender.services.screening import access_log, counters
    from recommender.services.search import spelling

    cache.clear()
    rules.forget()
    counters.forget()
    access_log.forget()
    answers.forget()
    assignment.forget()
    serving.forget()
    spelling.forget()
    vectors.forget()
    shared_words.forget()
    yield
    serving.forget()
    spelling.forget()
    vectors.forget()
    shared_words.forget()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Each of the processes of `pytest -n` has a RECSITE_VAR of its own."""
    for spec in specs:
        spec.env["RECSITE_VAR"] = str(django_settings.VAR_DIR / spec.id)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, the longest come first, so that none is left alone with them at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, one process does all that waits, while others compute: two waiting leave cores idle."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "waiting" if nodeid.startswith(WAITING) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)
