"""What every test shares: state in a temporary folder, and a process that remembers nothing from the test before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings

Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns without it
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

    from recommender.services import serving, shared_words
    from recommender.services.content import vectors
    from recommender.services.screening import access_log, counters
    from recommender.services.search import spelling

    cache.clear()
    counters.forget()
    access_log.forget()
    serving.forget()
    spelling.forget()
    vectors.forget()
    shared_words.forget()
    yield
    serving.forget()
    spelling.forget()
    vectors.forget()
    shared_words.forget()
