"""Subjects are judged quickly here: fewer trees tell planted anomalies just as well."""

import pytest

from recommender.engine.anomaly.subjects import judging


@pytest.fixture(scope="session", autouse=True)
def few_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "TREES", 20)
        yield
