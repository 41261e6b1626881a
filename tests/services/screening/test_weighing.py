"""What verdicts mean for each event, one by one and against a slow oracle."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from recommender.models import Event, Review, Verdict, Visitor
from recommender.services import event_log
from recommender.services.screening import weighing
from tests.services.conftest import START

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("screening_on", "shop")]


def verdict(subject: str, subject_id: str, visitor: str | None, state: str, p: float = 0.7, **more) -> Verdict:
    return Verdict.objects.create(
        subject=subject, subject_id=subject_id, visitor_id=visitor, state=state, probability=p, kind="push", **more
    )


def trusted() -> dict[tuple[str, str, str], float]:
    """By visitor, item and kind."""
    log = event_log.read()
    keys = zip(log.visitor_ids.tolist(), log.item_ids.tolist(), log.kinds.tolist(), strict=True)
    return dict(zip(keys, weighing.trust(log).tolist(), strict=True))


@pytest.mark.parametrize(
    ("state", "expected"), [("open", 0.3), ("quarantined", 0), ("confirmed", 0), ("released", 1), ("lapsed", 1)]
)
def test_a_profile_counts_by_its_state(state, expected):
    verdict("profile", "sea-fan-3", "sea-fan-3", state)
    found = trusted()
    mine = [value for (visitor, _, _), value in found.items() if visitor == "sea-fan-3"]
    assert mine == pytest.approx([expected] * 4)
    assert sum(value != 1 for value in found.values()) == (0 if expected == 1 else 4)


@pytest.mark.parametrize(("state", "aimed", "rest"), [("open", 0, 0.3), ("quarantined", 0, 0), ("released", 1, 1)])
def test_what_a_suspect_aims_at_is_left_out_wholly(state, aimed, rest):
    target = Event.objects.filter(visitor="sea-fan-3").earliest("id").item_id
    verdict("profile", "sea-fan-3", "sea-fan-3", state, evidence={"targets": [target, "gone", 7]})
    log = event_log.read()
    mine = log.visitor_ids == "sea-fan-3"
    on_target = mine & (log.item_ids == target)
    weighed = weighing.weigh(log)
    assert weighed.trust[on_target] == pytest.approx(aimed) and weighed.trust[mine & ~on_target] == pytest.approx(rest)
    row = weighed.summary(log)
    assert row["left_out"] == (on_target.sum() if state == "open" else mine.sum() if state == "quarantined" else 0)
    assert [one["verdicts"] for one in row["by"]] == ([] if state == "released" else [1])


def test_what_is_less_than_suspicious_by_now_counts_in_full(screening_on):
    verdict("profile", "sea-fan-3", "sea-fan-3", "open", 0.7)
    screening_on(weigh_down_at=0.8)
    assert set(trusted().values()) == {1.0}


def test_a_session_taints_its_time_a_review_its_rating_an_order_its_purchases():
    visitor = "sea-fan-5"
    begins = int((START + timedelta(hours=5)).timestamp())
    span = {"taints": {"span": [begins, begins + 60]}}
    verdict("session", f"{visitor}@{begins}", visitor, "quarantined", evidence=span)
    for item_id, kind in (("hill-00", "rating"), ("hill-00", "view"), ("hill-01", "rating")):
        Event.objects.create(visitor_id=visitor, item_id=item_id, kind=kind, value=5 if kind == "rating" else None)
    review = Review.objects.create(visitor_id=visitor, item_id="hill-00", stars=5)
    verdict("review", str(review.pk), visitor, "confirmed")
    for kind in ("purchase", "view"):
        Event.objects.create(visitor_id="hill-fan-1", item_id="sea-09", kind=kind, session="order-1")
    verdict("order", "order-1", "hill-fan-1", "quarantined")
    verdict("access", "10.0.0.1", None, "confirmed")
    left_out = {key for key, value in trusted().items() if value == 0}
    assert left_out == {
        (visitor, "sea-05", "purchase"),
        (visitor, "sea-06", "purchase"),
        (visitor, "hill-00", "rating"),
        ("hill-fan-1", "sea-09", "purchase"),
    }


def test_the_worst_verdict_counts_and_is_named():
    verdict("profile", "sea-fan-3", "sea-fan-3", "open", 0.6)
    begins = int((START + timedelta(hours=3)).timestamp())
    span = {"taints": {"span": [begins, begins]}}
    session = verdict("session", "sea-fan-3@1", "sea-fan-3", "open", 0.8, evidence=span)
    log = event_log.read()
    weighed = weighing.weigh(log)
    mine = log.visitor_ids == "sea-fan-3"
    assert weighed.trust[mine] == pytest.approx([0.2, 0.4, 0.4, 0.4])
    assert weighed.verdicts[int(weighed.by[mine][0])].pk == session.pk
    assert weighed.summary(log) == {
        "events": 240,
        "left_out": 0,
        "weighed_down": 4,
        "visitors": {"left_out": 0, "weighed_down": 1},
        "by": [
            {"subject": "profile", "kind": "push", "left_out": 0, "weighed_down": 3, "verdicts": 1},
            {"subject": "session", "kind": "push", "left_out": 0, "weighed_down": 1, "verdicts": 1},
        ],
        "quarantined": [],
    }


def test_flagged_events_count_half_until_their_visitor_is_released():
    for visitor in ("sea-fan-1", "sea-fan-2"):
        Event.objects.filter(visitor=visitor).update(flag="burst")
    released = verdict("profile", "sea-fan-2", "sea-fan-2", "released")
    log = event_log.read()
    assert log.flagged is not None and log.flagged.sum() == 8
    weighed = weighing.weigh(log)
    assert {name: set(weighed.trust[log.visitor_ids == name].tolist()) for name in ("sea-fan-1", "sea-fan-2")} == {
        "sea-fan-1": {0.5}, "sea-fan-2": {1.0},
    }  # fmt: skip
    assert weighed.summary(log)["by"] == [
        {"subject": "event", "kind": "flagged", "left_out": 0, "weighed_down": 4, "verdicts": 0}
    ]
    released.state = "quarantined"
    released.save()
    assert set(weighing.trust(log)[log.visitor_ids == "sea-fan-2"].tolist()) == {0.0}


def test_detectors_that_would_leave_out_a_third_are_not_believed():
    confirmed = verdict("profile", "sea-fan-0", "sea-fan-0", "confirmed", decided_at=timezone.now())
    for number in range(1, 28):
        verdict("profile", f"sea-fan-{number}", f"sea-fan-{number}", "quarantined", 0.99)
    log = event_log.read()
    weighed = weighing.weigh(log)
    assert "45%" in weighed.brake and (weighed.trust == 0).sum() == 4
    assert weighed.summary(log)["quarantined"] == [] and weighed.verdicts[0].pk == confirmed.pk
    Verdict.objects.filter(pk__gt=confirmed.pk + 19).delete()
    assert not weighing.weigh(log).brake and (weighing.trust(log) == 0).sum() == 80


def test_weights_of_a_log_are_multiplied():
    log = event_log.read()
    trust = np.linspace(0.1, 1, len(log)).astype(np.float32)
    plain, weighed = event_log.interactions(log), event_log.interactions(log, trust)
    by_time = np.argsort(log.times, kind="stable")
    assert (weighed.weights / plain.weights)[np.argsort(plain.times, kind="stable")].sum() == pytest.approx(
        trust[by_time].sum(), rel=1e-5
    )


def test_many_verdicts_agree_with_one_look_at_each_event():
    rng = np.random.default_rng(5)
    names = [f"{group}-fan-{number}" for group in ("sea", "hill") for number in range(30)]
    for place, name in enumerate(rng.choice(names, 12, replace=False).tolist()):
        first = int(Event.objects.filter(visitor=name).earliest("id").occurred_at.timestamp())
        span = [first + 60 * int(rng.integers(3)), first + 120]
        for subject, key in (("profile", name), ("session", f"{name}@{first}")):
            if rng.random() < 0.7:
                state = str(rng.choice(["open", "quarantined", "released", "confirmed"]))
                p = round(float(rng.uniform(0.5, 1)), 3)
                evidence = {"taints": {"span": span}, "targets": ["sea-01"]} if place % 2 else {}
                verdict(subject, key, name, state, p, evidence=evidence)
    log = event_log.read()
    expected = np.ones(len(log))
    for row in Verdict.objects.all():
        keep = {"open": 1 - row.probability, "quarantined": 0, "confirmed": 0}.get(row.state, 1)
        mine = log.visitor_ids == row.visitor_id
        if row.subject == "session":
            first, last = row.evidence.get("taints", {}).get("span", [1, 0])
            mine &= (log.times >= first) & (log.times <= last)
        expected[mine] = np.minimum(expected[mine], keep)
        if row.subject == "profile" and row.state == "open":
            expected[mine & (log.item_ids == row.evidence.get("targets", [""])[0])] = 0
    assert (expected < 1).sum() > 10
    assert weighing.trust(log) == pytest.approx(expected)


def test_verdicts_on_strangers_and_broken_evidence_taint_nothing():
    Visitor.objects.create(id="quiet", kind="external")
    verdict("profile", "quiet", "quiet", "confirmed")
    verdict("profile", "gone", None, "confirmed")
    verdict("session", "sea-fan-1@x", "sea-fan-1", "confirmed", evidence={"taints": "no"})
    verdict("session", "sea-fan-2@x", "sea-fan-2", "confirmed", evidence=[])
    verdict("review", "no number", "sea-fan-1", "confirmed")
    assert set(trusted().values()) == {1.0}
