"""Every setting is documented, and a bad one is refused with a clear word."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from recommender.conf import Conf, conf

ROOT = Path(__file__).parent.parent
ENVIRONMENT = re.compile(r"(?:os\.environ(?:\.get\(|\[)|env_(?:bool|list|object|number)\()\s*\"([A-Z_]+)\"")


def variables() -> set[str]:
    return set(ENVIRONMENT.findall((ROOT / "recsite/settings.py").read_text()))


def test_every_environment_variable_is_documented():
    text = (ROOT / "docs/configuration.md").read_text()
    assert not {name for name in variables() if f"`{name}`" not in text}
    assert len(variables()) > 10


def test_every_recommender_setting_is_documented():
    text = (ROOT / "docs/configuration.md").read_text()
    assert not {field.name for field in fields(Conf) if f"`{field.name}`" not in text}


def test_documentation_names_no_setting_that_is_gone():
    text = (ROOT / "docs/configuration.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))
    assert documented == variables()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("no_such_setting", 1, "recommender.E001"),
        ("half_life_days", float("nan"), "recommender.E001"),
        ("trainer", "no-such", "recommender.E002"),
        ("trainer_config", {"factors": 0}, "recommender.E003"),
        ("trainer_config", {"no_such": 1}, "recommender.E003"),
        ("index", "no-such", "recommender.E004"),
        ("test_share", 1.5, "recommender.E005"),
        ("history_length", 0, "recommender.E006"),
        ("device", "tpu", "recommender.E008"),
        ("encoders", {"smell": {"name": "hashing"}}, "recommender.E009"),
        ("encoders", {"text": "hashing"}, "recommender.E009"),
        ("encoders", {"text": {"name": "hashing", "dimension": 64}}, "recommender.E009"),
        ("encoders", {"text": {"name": "no-such"}}, "recommender.E010"),
        ("encoders", {"text": {"name": "hashing", "config": {"no_such": 1}}}, "recommender.E011"),
        ("encoders", {"text": {"name": "hashing", "config": {"dimension": 1}}}, "recommender.E011"),
        ("assistant", {"model": "m"}, "recommender.E020"),
        ("guard", {"no_such": 1}, "recommender.E031"),
        ("guard", {"limits": {"visitor_events": {"soft": "many"}}}, "recommender.E031"),
        ("alerts", {"email": ["nobody"]}, "recommender.E032"),
        ("screening", {"no_such": 1}, "recommender.E021"),
        ("screening", {"on": "yes"}, "recommender.E021"),
        ("screening", {"subjects": ["profile", "shoes"]}, "recommender.E021"),
        ("screening", {"quarantine_at": 0.4}, "recommender.E021"),
        ("screening", {"weigh_down_at": float("nan")}, "recommender.E021"),
        ("screening", {"every_minutes": -1}, "recommender.E021"),
        ("assistant", {"url": "ftp://x", "model": "m"}, "recommender.E020"),
        ("assistant", {"url": "http://x", "model": "m", "no_such": 1}, "recommender.E020"),
        ("assistant", {"url": "http://x", "model": "m", "steps": 0}, "recommender.E020"),
    ],
)
def test_check_refuses_a_bad_setting(settings, name, value, code):
    settings.RECOMMENDER = {**settings.RECOMMENDER, name: value}
    with pytest.raises(SystemCheckError, match=code):
        call_command("check")


def test_check_refuses_a_folder_that_cannot_be_written(settings, tmp_path, monkeypatch):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "artifacts_dir": tmp_path / "not-there"}
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SystemCheckError, match=r"recommender\.E007"):
        call_command("check")


def test_settings_are_read_once():
    assert conf() is conf()


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("RECSITE_VAR", "/dev/null", "RECSITE_VAR"),
        ("DATABASE_URL", "nonsense://u:hidden@h/x", "DATABASE_URL"),
        ("RETRAIN_AT", "25:99", "03:30"),
        ("TRAIN_THREADS", "many", "TRAIN_THREADS"),
        ("TRAINER_CONFIG", "factors=96", "JSON object"),
        ("TRAINER_CONFIG", "[96]", "JSON object"),
        ("EMAIL_URL", "smtp://user:hidden@", "EMAIL_URL"),
        ("EMAIL_URL", "mail.example:25", "EMAIL_URL"),
        ("EMAIL_URL", "smtp://user:hidden@mail.example:port", "EMAIL_URL"),
    ],
)
def test_a_mistake_in_the_environment_is_one_line_that_says_what_to_do(tmp_path, name, value, word):
    environment = {**os.environ, "RECSITE_VAR": str(tmp_path), name: value}
    ended = subprocess.run(
        [sys.executable, "-c", "import recsite.settings"], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert word in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "hidden" not in ended.stderr
