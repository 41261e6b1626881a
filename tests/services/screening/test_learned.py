"""What staff decided refines what is found: by id, only with enough of it, only where it tells better; and says so."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from recommender.engine.anomaly.found import Features, Found
from recommender.engine.options import Options
from recommender.models import Screening, Verdict, Visitor
from recommender.services.screening import detection, learned, verdicts
from tests.services.screening.planted import by_visitor, push

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("screening_on")]

ROWS = 400
BAD = np.arange(ROWS) % 4 == 0  # what is so: these have much haste; the detector only sees the many events


def found(rows: int = ROWS, kind: str = "push") -> Found:
    random = np.random.default_rng(0)
    bad = BAD[:rows]
    haste = (random.normal(size=rows) + 5 * bad).astype(np.float32)
    events = random.normal(10, 2, size=rows).astype(np.float32)
    p = 1 / (1 + np.exp(-(0.8 * bad - 0.6 + random.normal(size=rows))))
    names = [f"v{row}" for row in range(rows)]
    return Found(
        Features(names, ("haste_per_day", "events"), np.stack([haste, events], axis=1)),
        p,
        np.ones((rows, 2), dtype=np.float32),
        [kind if one >= 0.5 else "" for one in p],
        reasons={int(row): ["Many events."] for row in np.flatnonzero(p >= 0.5)},
        detector="planted",
    )


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


def decide(by: User | None, rows: Any, confirmed: Any = BAD, kind: str = "push", subject: str = "profile") -> None:
    Verdict.objects.bulk_create(
        Verdict(
            subject=subject,
            subject_id=f"v{row}",
            kind=kind,
            probability=0.9,
            state="confirmed" if confirmed[row] else "released",
            decided_at=timezone.now(),
            decided_by=by,
        )
        for row in rows
    )


def test_decisions_refine_what_is_found(ada):
    decide(ada, range(120))
    before = found()
    after = learned.refined("profile", before)
    rest = np.arange(ROWS) >= 120
    wrong = [((one.probabilities >= 0.5) != BAD)[rest].mean() for one in (before, after)]
    assert wrong[0] > 0.25 and wrong[1] < 0.08
    raised = np.flatnonzero((after.probabilities >= 0.5) & (before.probabilities < 0.5))
    assert len(raised) > 10
    for row in raised.tolist():  # what only the decisions find has a kind and a reason, with the usual beside its own
        assert after.kinds[row] == "push"
        assert after.reasons[row][0].startswith(
            "Staff confirmed others that look like it, above all by haste per day: "
        )
        assert after.reasons[row][0].endswith(" as a rule.")
    assert (after.contributions[raised].argmax(axis=1) == 0).all()
    assert after.detector == "planted + staff"
    assert before.kinds[raised[0]] == "" and raised[0] not in before.reasons  # what was given is as it was
    again = learned.refined("profile", found())
    assert (again.probabilities == after.probabilities).all() and again.reasons == after.reasons


def test_only_what_people_decided_about_this_subject_counts(ada):
    decide(None, range(60))  # nobody
    decide(ada, range(60, 120), subject="review")
    Verdict.objects.bulk_create(
        Verdict(subject="profile", subject_id=f"v{row}", kind="push", probability=0.9, state=state, decided_by=ada)
        for row, state in zip(range(120, 123), ["open", "quarantined", "lapsed"], strict=True)
    )
    one = found()
    refined = learned.refine("profile", one)
    assert refined.found is one and refined.facts["confirmed"] == refined.facts["released"] == 0


def test_below_the_floor_it_steps_aside_and_says_why(ada):
    decide(ada, range(40))
    one = found()
    refined = learned.refine("profile", one)
    assert refined.found is one and not refined.facts["acts"]
    assert "20 of each are needed" in refined.facts["why"] and "there are 10 and 30" in refined.facts["why"]


def test_decisions_by_chance_are_stepped_aside_from(ada):
    decide(ada, range(200), confirmed=np.random.default_rng(3).random(ROWS) < 0.5)
    one = found()
    refined = learned.refine("profile", one)
    assert refined.found is one and "no better than the detectors" in refined.facts["why"]


def test_decisions_about_what_is_gone_are_counted_and_left_out(ada):
    decide(ada, range(160))
    refined = learned.refine("profile", found(rows=100))
    assert refined.facts["gone"] == 60
    assert refined.facts["confirmed"] + refined.facts["released"] == 100
    none = replace(found(rows=100), features=Features([f"w{row}" for row in range(100)], ("a", "b"), np.ones((100, 2))))
    assert learned.refine("profile", none).facts["gone"] == 160


def test_a_kind_that_staff_have_not_decided_about_is_left_to_the_detector(ada):
    decide(ada, range(120), kind="push")
    one = found()
    kinds = ["scraper" if row >= 300 and name else name for row, name in enumerate(one.kinds)]
    refined = learned.refine("profile", replace(one, kinds=kinds))
    strange = np.array([name == "scraper" for name in kinds])
    assert strange.any() and refined.facts["kinds_left_alone"] == ["scraper"]
    assert (refined.found.probabilities[strange] == one.probabilities[strange]).all()
    assert (refined.found.probabilities[~strange] != one.probabilities[~strange]).any()


def test_rows_long_looked_at_and_never_found_are_weak_negatives(ada):
    decide(ada, range(120))
    assert learned.refine("profile", found()).facts["clean"] == 0  # nobody has looked for long
    old, new = timezone.now() - timedelta(days=30), timezone.now() - timedelta(days=1)
    Visitor.objects.bulk_create(Visitor(id=f"v{row}") for row in range(ROWS))
    Visitor.objects.filter(pk__in=[f"v{row}" for row in range(300)]).update(created_at=old)
    assert learned.refine("profile", found()).facts["clean"] == 0
    Screening.objects.create(status="succeeded", finished_at=new)
    assert learned.refine("profile", found()).facts["clean"] == 0
    Screening.objects.create(status="succeeded", finished_at=old)
    one = found()
    usual = int((one.probabilities[120:300] < 0.5).sum())
    assert learned.refine("profile", one).facts["clean"] == usual
    Verdict.objects.create(subject="profile", subject_id="v299", kind="push", probability=0.6, state="lapsed")
    assert learned.refine("profile", one).facts["clean"] == usual - int(one.probabilities[299] < 0.5)
    decide(ada, range(120), subject="access")
    assert learned.refine("access", one).facts["clean"] == 0  # nobody is known to be behind these


def test_rows_with_missing_values_are_refined(ada):
    decide(ada, range(120))
    one = found()
    one.features.values[::5, 0], one.features.values[::7, 1] = np.nan, np.inf
    after = learned.refined("profile", one, Options())
    assert np.isfinite(after.probabilities).all() and np.isfinite(after.contributions).all()
    assert all("nan" not in said[0] and "inf" not in said[0] for said in after.reasons.values())


def test_the_console_is_told(ada):
    assert learned.describe("profile") == {
        "confirmed": 0,
        "released": 0,
        "acts": False,
        "words": f"Staff confirmed 0 and released 0. {learned.NEVER}",
        "facts": {},
    }
    decide(ada, range(120))
    facts = learned.refine("profile", found()).facts
    Screening.objects.create(status="succeeded", counts={"profile": {"rows": 1, "staff": facts}})
    Screening.objects.create(status="succeeded", counts={"review": {"rows": 1}})
    Screening.objects.create(status="failed", counts={"profile": {"staff": {"acts": False, "why": "no."}}})
    told = learned.describe("profile")
    assert told["acts"] and (told["confirmed"], told["released"]) == (30, 90)
    assert f"AUROC {facts['auroc']:.2f}" in told["words"] and f"{facts['auroc_without']:.2f}" in told["words"]
    Screening.objects.create(status="succeeded", counts={"profile": {"staff": {"acts": False, "why": "too few."}}})
    assert learned.describe("profile")["words"].endswith("The detector's probability stands: too few.")
    Screening.objects.create(status="succeeded", counts={"profile": {"staff": {"acts": True, "auroc": "much"}}})
    assert learned.describe("profile")["words"].endswith("They refine what is found.")
    Screening.objects.create(status="succeeded", counts=["of", "another", "version"])
    assert learned.describe("profile")["acts"]


def test_a_pass_asks_staffs_decisions_and_remembers_what_they_taught(shop, eyes, ada, monkeypatch):
    push()
    eyes(profile=by_visitor({"pusher-1": 0.97, "sea-fan-0": 0.7}))
    detection.screen()
    verdicts.decide(Verdict.objects.values_list("pk", flat=True), "release", ada)
    outcome = detection.screen()
    assert outcome.failures == {} and outcome.counts["profile"]["staff"]["released"] == 2
    assert not outcome.counts["profile"]["staff"]["acts"]

    def breaks(*args: Any) -> None:
        raise ZeroDivisionError("labels")

    monkeypatch.setattr(learned, "refine", breaks)
    outcome = detection.screen()
    assert outcome.counts["profile"]["found"] == 2 and outcome.counts["profile"]["staff"] == {}
    assert "labels" in outcome.failures["profile, staff's verdicts"]
