"""A pass of the detectors: what becomes verdicts, what changes them, and what a failure leaves alone."""

import json
import uuid

import numpy as np
import pytest
from django.contrib.auth.models import User

from recommender.conf import conf
from recommender.engine.errors import Cancelled
from recommender.models import Decision, Event, Verdict
from recommender.services.screening import detection, evidence, last_good, records, verdicts
from tests.services.screening.planted import PUSHED, PUSHERS, broken, by_visitor, nothing, push

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("screening_on")]


@pytest.fixture
def pushed(shop):
    push()
    return shop


def states() -> dict[str, str]:
    return dict(Verdict.objects.values_list("subject_id", "state"))


def changes(subject_id: str) -> list[tuple[str, str, str]]:
    rows = Decision.objects.filter(verdict__subject_id=subject_id).order_by("id")
    return list(rows.values_list("action", "before", "after"))


def test_what_is_found_becomes_verdicts_with_evidence(pushed, eyes):
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS, 0.97) | {"sea-fan-0": 0.6}))
    outcome = detection.screen()
    assert outcome.failures == {}
    counts = outcome.counts["profile"]
    assert (counts["rows"], counts["found"], counts["new"], counts["gone"]) == (72, 13, 13, 0)
    assert states() == dict.fromkeys(PUSHERS, "quarantined") | {"sea-fan-0": "open"}
    one = Verdict.objects.get(subject_id=PUSHERS[0])
    assert (one.subject, one.visitor_id, one.kind, one.detector) == ("profile", PUSHERS[0], "push", "planted")
    assert one.reasons == ["Bought the same as 12 others."]
    seen = evidence.read(one.evidence)
    assert [figure.name for figure in seen.figures] == ["oddness", "events"]
    assert (seen.figures[1].value, seen.figures[1].usual) == (6, 4)
    assert seen.targets == [PUSHED] and sum(day.count for day in seen.timeline) == 6
    assert set(seen.members) == set(PUSHERS[1:]) | {"sea-fan-0"}
    assert len(set(Verdict.objects.values_list("group", flat=True))) == 1 and one.group
    assert changes(PUSHERS[0]) == [("quarantine", "", "quarantined")]
    assert changes("sea-fan-0") == [("find", "", "open")]
    assert not Decision.objects.exclude(by=None) and Decision.objects.values("batch").distinct().count() == 1
    json.dumps([one.evidence, outcome.counts], allow_nan=False)


def test_a_second_pass_over_the_same_changes_nothing(pushed, eyes):
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS, 0.97)))
    detection.screen()
    columns = ("id", "found_at", "probability", "evidence", "group")
    before = list(Verdict.objects.order_by("id").values_list(*columns))
    seen_at = Verdict.objects.first().seen_at
    outcome = detection.screen()
    assert before == list(Verdict.objects.order_by("id").values_list(*columns))
    assert Verdict.objects.first().seen_at > seen_at and Decision.objects.count() == len(PUSHERS)
    assert outcome.counts["profile"]["new"] == 0


def test_states_follow_what_is_found_until_a_person_decides(pushed, eyes):
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS[:4], 0.97)))
    detection.screen()
    ada = User.objects.create_user("ada")
    pk = {row.subject_id: row.pk for row in Verdict.objects.all()}
    verdicts.decide([pk[PUSHERS[0]]], "release", ada)
    verdicts.decide([pk[PUSHERS[1]]], "confirm", ada)
    eyes(profile=by_visitor({PUSHERS[0]: 0.99, PUSHERS[1]: 0.99, PUSHERS[2]: 0.7}))
    outcome = detection.screen()
    assert states() == dict(zip(PUSHERS[:4], ["released", "confirmed", "open", "lapsed"], strict=True))
    assert Verdict.objects.get(subject_id=PUSHERS[0]).probability == 0.99  # what is known stays up to date
    assert outcome.counts["profile"]["gone"] == 1
    assert changes(PUSHERS[2])[-1] == ("find", "quarantined", "open")
    assert changes(PUSHERS[3])[-1] == ("lapse", "quarantined", "lapsed")
    eyes(profile=by_visitor({PUSHERS[3]: 0.95}))
    detection.screen()
    assert states() == dict(zip(PUSHERS[:4], ["released", "confirmed", "lapsed", "quarantined"], strict=True))
    assert changes(PUSHERS[3])[-1] == ("quarantine", "lapsed", "quarantined")


def test_what_a_person_quarantined_stays_so_when_it_is_found_no_more(pushed, eyes):
    eyes(profile=by_visitor({PUSHERS[0]: 0.6}))
    detection.screen()
    verdicts.decide([Verdict.objects.get().pk], "quarantine", User.objects.create_user("ada"))
    eyes(profile=by_visitor({}))
    assert detection.screen().counts["profile"]["gone"] == 0
    assert states() == {PUSHERS[0]: "quarantined"}


def test_too_few_rows_are_a_note_and_change_nothing(pushed, eyes):
    eyes(profile=by_visitor({PUSHERS[0]: 0.95}))
    detection.screen()
    eyes(profile=nothing)
    outcome = detection.screen()
    assert outcome.failures == {} and outcome.counts["profile"]["note"] == "Too few."
    assert states() == {PUSHERS[0]: "quarantined"}


def test_a_failure_is_named_and_what_was_learned_last_judges(pushed, eyes, caplog):
    known = []

    def fails(columns, options, learned=None):
        if learned is None:
            raise ZeroDivisionError("no rows")
        known.append(float(learned["middle"][0]))
        return by_visitor({PUSHERS[1]: 0.95})(columns, options)

    eyes(profile=by_visitor({PUSHERS[0]: 0.95}))
    kept = detection.screen().artifact
    assert kept.startswith("screening-") and (conf().artifacts_dir / kept / "manifest.json").exists()
    eyes(profile=fails)
    outcome = detection.screen()
    why = outcome.failures["profile"]
    assert "ZeroDivisionError: no rows" in why and "judged instead" in why
    assert known == [4.0] and outcome.artifact == ""  # nothing was learned, so nothing is kept
    assert states() == {PUSHERS[0]: "lapsed", PUSHERS[1]: "quarantined"}


def test_where_nothing_can_judge_verdicts_stand_and_other_subjects_go_on(pushed, eyes, screening_on, caplog):
    screening_on(subjects=["profile", "session"])
    eyes(profile=by_visitor({PUSHERS[0]: 0.95}), session=nothing)
    kept = detection.screen().artifact
    path = conf().artifacts_dir / kept / "profile" / "middle.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"x")  # damaged: its hash differs, so it does not judge
    eyes(profile=broken, session=by_visitor({}))
    outcome = detection.screen()
    assert "go on counting" in outcome.failures["profile"] and "session" not in outcome.failures
    assert outcome.counts["session"]["rows"] == 72
    assert states() == {PUSHERS[0]: "quarantined"}


@pytest.mark.parametrize("bad", [np.nan, 1.5, -0.1])
def test_a_probability_that_is_none_is_a_failure(pushed, eyes, bad, caplog):
    eyes(profile=by_visitor({PUSHERS[0]: bad}))
    assert "numbers from 0 to 1" in detection.screen().failures["profile"]
    assert not Verdict.objects.exists()


def test_a_cancellation_is_no_failure(pushed, eyes):
    def cancelled(columns, options, known=None):
        raise Cancelled()

    eyes(profile=cancelled)
    with pytest.raises(Cancelled):
        detection.screen()

    class OutOfTime(Exception):
        pass

    def late(columns, options, known=None):
        raise OutOfTime()

    eyes(profile=late)
    with pytest.raises(OutOfTime):
        detection.screen(out_of_time=OutOfTime)


def test_the_surest_are_stored_and_the_others_counted(pushed, eyes, monkeypatch):
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS, 0.95)))
    detection.screen()
    monkeypatch.setattr(records, "MOST_STORED", 3)
    eyes(profile=by_visitor({name: 0.99 - place / 100 for place, name in enumerate(PUSHERS)}))
    counts = detection.screen().counts["profile"]
    assert (counts["found"], counts["beyond"], counts["gone"]) == (12, 9, 0)  # found, so that they do not lapse
    Verdict.objects.all().delete()
    detection.screen()
    assert set(states()) == set(PUSHERS[:3])


def test_a_visitor_who_is_gone_is_no_fault(pushed, eyes):
    find = by_visitor({PUSHERS[0]: 0.95})

    def stranger(columns, options, known=None):
        found = find(columns, options)
        ids = ["x" * 300 if name == PUSHERS[0] else name for name in found.features.ids]
        return type(found)(**{**vars(found), "features": type(found.features)(**{**vars(found.features), "ids": ids})})

    eyes(profile=stranger)
    assert detection.screen().failures == {}
    row = Verdict.objects.get()
    assert row.visitor is None and len(row.subject_id) <= 200


def test_sessions_say_when_they_were(pushed, eyes, screening_on):
    screening_on(subjects=["session"])
    find = by_visitor({PUSHERS[0]: 0.95})

    def sessions(columns, options, known=None):
        found = find(columns, options)
        row = found.features.ids.index(PUSHERS[0])
        places = np.flatnonzero(columns.visitor_rows == row)[:3]
        changed = {"visitors": found.features.ids, "events": {row: places}}
        return type(found)(**{**vars(found), **changed})

    eyes(session=sessions)
    detection.screen()
    row = Verdict.objects.get()
    first, last = row.evidence["taints"]["span"]
    assert last - first == 120 and row.visitor_id == PUSHERS[0]
    assert Event.objects.filter(visitor=PUSHERS[0]).count() == 6


def test_a_few_passes_are_kept_and_the_newest_of_each_subject(pushed):
    first = last_good.write({"review": {"a": np.arange(3)}})
    names = [last_good.write({"profile": {"a": np.array([number])}}) for number in range(5)]
    there = {path.name for path in conf().artifacts_dir.glob("screening-*")}
    assert there == {first, *names[-3:]}
    assert last_good.read("profile")["a"].tolist() == [4] and last_good.read("review")["a"].tolist() == [0, 1, 2]
    assert last_good.read("order") is None and last_good.write({"profile": {}}) == ""


def test_two_passes_at_once_agree(pushed, eyes, monkeypatch):
    """Another pass writes the same verdict between the look and the write."""
    find = by_visitor({PUSHERS[0]: 0.95})
    real = records._standing

    def meanwhile(subject, keys):
        found = real(subject, keys)
        Verdict.objects.create(subject=subject, subject_id=PUSHERS[0], kind="push", probability=0.9)
        return found

    eyes(profile=find)
    monkeypatch.setattr(records, "_standing", meanwhile)
    assert detection.screen().failures == {}
    assert Verdict.objects.count() == 1 and Decision.objects.count() == 1
    assert isinstance(Decision.objects.get().batch, uuid.UUID)
