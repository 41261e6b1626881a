"""What difference it makes: a pushed item falls when its pushers are left out, and a decision says so beforehand."""

import json

import numpy as np
import pytest
from django.contrib.auth.models import User

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import NoData
from recommender.engine.options import Options
from recommender.models import Event, Run, Verdict
from recommender.services import event_log
from recommender.services.errors import InvalidInput
from recommender.services.screening import detection, effects, verdicts, weighing
from tests.services.screening.planted import PUSHED, PUSHERS, by_visitor, push

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("screening_on")]
OPTIONS = Options(threads=1)


@pytest.fixture
def quarantined(live, eyes):
    """The shop with its live model, in which the pushers came and were found."""
    push()
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS, 0.97)))
    detection.screen()
    return list(Verdict.objects.order_by("id").values_list("pk", flat=True))


def measured(monkeypatch, k: int = 4):
    """Lists of four: of ten items of a taste, ten would hold them all."""
    monkeypatch.setattr(effects, "K", k)
    log = event_log.read()
    return effects.moved(log, weighing.weigh(log), OPTIONS)


def test_a_pushed_item_moves_most(quarantined, monkeypatch):
    told = measured(monkeypatch)
    json.dumps(told, allow_nan=False)
    assert (told["users"], told["k"], told["share"]) == (60, 4, 1.0) and 0 < told["overlap"] < 1
    first = told["items"][0]
    assert first["item"] == PUSHED and first["from"] > 1.5 * first["to"] and first["place_from"] == 1


def test_where_nothing_is_taken_away_nothing_moves(shop, monkeypatch):
    told = measured(monkeypatch)
    assert told["overlap"] == 1.0 and told["items"] == []


def test_a_large_shop_is_measured_on_some_of_its_visitors(quarantined, monkeypatch):
    monkeypatch.setattr(effects, "MOST_EVENTS", 150)
    learned = []
    real = effects._lists

    def lists(data: Interactions, shoppers, options):
        learned.append(len(data))
        return real(data, shoppers, options)

    monkeypatch.setattr(effects, "_lists", lists)
    told = measured(monkeypatch)
    assert told["share"] == pytest.approx(150 / 312, abs=1e-4) and learned[1] < learned[0] < 312


def test_where_all_are_touched_there_is_nobody_to_ask(shop, monkeypatch):
    log = event_log.read()
    weighed = weighing.Weighed(np.full(len(log), 0.5, np.float32), np.zeros(len(log), np.int32), [])
    with pytest.raises(NoData, match="touched"):
        effects.moved(log, weighed, OPTIONS)


def test_a_preview_counts_what_would_come_back_and_changes_nothing(quarantined, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        found = effects.preview(quarantined, "release")
    assert (found.verdicts, found.visitors, found.left_out, found.restored) == (12, 12, 0, 72)
    assert found.whole and 0 < found.share < 0.5
    best = found.items[0]
    assert (best.interest_to - best.interest_from, best.item.pk[:3]) == (12, PUSHED[:3])
    assert {mover.item.pk for mover in found.items} == {PUSHED, "sea-00", "sea-01", "sea-02", "sea-03"}
    assert all(mover.place_to <= mover.place_from for mover in found.items)
    assert set(Verdict.objects.values_list("state", flat=True)) == {"quarantined"}


def test_a_preview_of_confirming_what_is_left_out_already_changes_nothing_learned(quarantined):
    found = effects.preview(quarantined[:1], "confirm")
    assert (found.verdicts, found.left_out, found.restored, found.items) == (1, 0, 0, [])


def test_a_preview_of_leaving_out_looks_at_a_visitors_other_verdicts(quarantined):
    verdicts.decide(quarantined, "release", None)
    Verdict.objects.create(
        subject="review", subject_id="999", visitor_id=PUSHERS[0], state="confirmed", kind="push", probability=0.9
    )
    found = effects.preview(quarantined[:2], "quarantine")
    assert (found.visitors, found.left_out, found.restored) == (2, 12, 0)
    assert all(mover.interest_to <= mover.interest_from for mover in found.items)
    Verdict.objects.create(
        subject="profile", subject_id="x", visitor_id=PUSHERS[1], state="confirmed", kind="push", probability=0.9
    )
    assert effects.preview(quarantined[:2], "quarantine").left_out == 6  # the other's are left out already


def test_a_preview_of_too_much_looks_at_a_part(quarantined, monkeypatch):
    monkeypatch.setattr(effects, "MOST_PREVIEWED", 10)
    found = effects.preview(quarantined, "release")
    assert not found.whole and found.restored == 10


@pytest.mark.parametrize(("ids", "action"), [([], "release"), (["x"], "release"), ([1], "delete")])
def test_a_preview_refuses_what_a_decision_would(quarantined, ids, action):
    with pytest.raises(InvalidInput):
        effects.preview(ids, action)


def test_a_preview_of_access_or_of_what_is_gone_is_empty(db):
    row = Verdict.objects.create(subject="access", subject_id="10.0.0.1", kind="guessing", probability=1, state="open")
    found = effects.preview([row.pk, row.pk + 1], "confirm")
    assert (found.verdicts, found.visitors, found.left_out, found.items) == (0, 0, 0, [])


def test_without_a_live_model_places_are_not_known(shop, eyes):
    push()
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS, 0.97)))
    detection.screen()
    found = effects.preview(Verdict.objects.values_list("pk", flat=True), "release")
    assert found.restored == 72
    assert {(mover.place_from, mover.place_to) for mover in found.items} == {(None, None)}


def test_one_decision_restores_what_a_run_left_out_by_itself(quarantined):
    ada = User.objects.create_user("ada")
    log = event_log.read()
    run = Run.objects.create(trainer="als", screening=weighing.weigh(log).summary(log))
    assert run.screening["quarantined"] == quarantined
    verdicts.decide(quarantined[:2], "confirm", ada)
    assert effects.restorable(run) == quarantined[2:]
    done = effects.restore(run, ada)
    assert done.changed == 10
    assert Verdict.objects.filter(state="released", decided_by=ada).count() == 10
    left = event_log.read()
    assert (weighing.trust(left) == 0).sum() == 12 == Event.objects.filter(visitor__in=PUSHERS[:2]).count()
    with pytest.raises(InvalidInput, match="nothing to restore"):
        effects.restore(run, ada)
    verdicts.undo(done.batch, ada)
    assert (weighing.trust(left) == 0).sum() == 72 and effects.restorable(run) == quarantined[2:]


def test_restoring_releases_every_verdict_on_the_same_events(quarantined):
    span = {"taints": {"span": [0, 2**33]}}
    session = Verdict.objects.create(
        subject="session", subject_id="s", visitor_id=PUSHERS[0], state="quarantined", kind="pump", probability=1,
        evidence=span,
    )  # fmt: skip
    log = event_log.read()
    run = Run.objects.create(trainer="als", screening=weighing.weigh(log).summary(log))
    assert effects.restorable(run) == [*quarantined, session.pk]
    effects.restore(run, None)
    assert (weighing.trust(log) == 1).all()
