"""manage.py attack: a drill that says what it found, refuses nonsense, and writes nothing to the shop."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.engine.anomaly.found import Features, Found
from recommender.engine.data.activity import Activity
from recommender.engine.options import Options
from recommender.models import Event, Run, Screening, Verdict, Visitor
from recommender.services.screening import drill
from tests import shops

pytestmark = pytest.mark.django_db
SMALL = json.dumps({"factors": 4, "iterations": 3})


@pytest.fixture
def shop(db: None) -> None:
    shops.regulars()


def attack(*words: str) -> str:
    out = StringIO()
    call_command("attack", *words, "--config", SMALL, "--threads", "1", stdout=out)
    return out.getvalue()


def nobody_suspected(activity: Activity, options: Options) -> Found:
    ids = activity.visitors.all
    values = np.zeros((len(ids), 1), np.float32)
    return Found(Features(ids, ("nothing",), values), np.zeros(len(ids)), values, [""] * len(ids))


def test_a_drill_tells_and_writes_nothing(shop: None, tmp_path: Path) -> None:
    before = Event.objects.count(), Visitor.objects.count()
    kept = tmp_path / "drill.json"
    said = attack("--kind", "bandwagon", "--size", "0.2", "--filler", "0.1", "--target", "item-03", "--json", str(kept))
    assert "40 visitors, 20 items, 480 events" in said
    assert "8 fake visitors" in said and "item-03" in said
    assert "AUROC" in said and "When nobody attacks" in said
    assert (Event.objects.count(), Visitor.objects.count()) == before
    assert not Verdict.objects.exists() and not Run.objects.exists() and not Screening.objects.exists()
    found = json.loads(kept.read_text())
    assert found["exercises"][0]["attack"]["kind"] == "bandwagon" and found["exercises"][0]["target_ids"] == ["item-03"]
    assert set(found["exercises"][0]["damage"]) == {"clean", "attacked", "defended", "intent"}


def test_all_kinds_are_a_drill(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "subject", lambda name: nobody_suspected)
    said = attack("--all", "--no-cost", "--filler", "0.1")
    for kind in ("random push", "average push", "segment push", "love_hate nuke", "reverse_bandwagon nuke", "sybil"):
        assert kind in said
    assert "When nobody attacks" not in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--size", "2"], "size"),
        (["--filler", "0"], "filler"),
        (["--targets", "0"], "targets"),
        (["--target", "nothing"], "No such item: nothing"),
        (["--budget", "1"], "not enough"),
        (["--k", "0"], "--k"),
        (["--seed", "-1"], "--seed"),
        (["--all", "--intent", "nuke"], "--intent"),
        (["--json", "/no/such/folder/x.json"], "--json"),
    ],
)
def test_nonsense_is_refused_with_what_to_mend(shop: None, words: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        attack(*words)


def test_settings_must_be_the_trainers(shop: None) -> None:
    with pytest.raises(CommandError, match="no setting wings"):
        call_command("attack", "--config", '{"wings": 2}', stdout=StringIO())


def test_an_empty_shop_is_too_small(db: None) -> None:
    with pytest.raises(CommandError, match="too small for a drill"):
        attack()


def test_a_handful_of_visitors_is_too_small(db: None, settings: Any) -> None:
    shops.regulars()
    Event.objects.exclude(visitor_id__in=["visitor-00", "visitor-01"]).delete()
    with pytest.raises(CommandError, match="too small for a drill"):
        attack()
