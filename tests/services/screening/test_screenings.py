"""The life of a screening: asked for, due, carried out, cancelled, lost; and what a training does with one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recommender import tasks
from recommender.engine.options import Options
from recommender.models import Event, Run, Screening, Verdict
from recommender.services import console, event_log, events, people, training
from recommender.services.errors import InvalidInput, ScreeningActive, ScreeningOff, UnknownScreening
from recommender.services.screening import detection, effects, screenings, training_stage, weighing
from tests.services.conftest import carried_out
from tests.services.screening.planted import PUSHERS, broken, by_visitor, nothing, push

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.usefixtures("screening_on", "no_heart"),
]


@pytest.fixture
def pushed(shop, eyes):
    push()
    eyes(profile=by_visitor(dict.fromkeys(PUSHERS, 0.97) | {"sea-fan-0": 0.6}))
    return shop


def done(**times) -> Screening:
    return Screening.objects.create(status="succeeded", started_at=timezone.now() - timedelta(**times))


# A pass


def test_a_pass_from_asking_to_its_end(pushed):
    row = screenings.request(requested_by="ada", reason="to see")
    with pytest.raises(ScreeningActive) as refused:
        screenings.request()
    assert refused.value.context == {"screening_id": row.pk}
    row = screenings.run(row.pk)
    assert (row.status, row.error, row.share_done, row.failures) == ("succeeded", "", 1.0, {})
    assert row.counts["profile"]["found"] == 13 and row.artifact and "13 found" in row.message
    assert screenings.last() == row and screenings.run(row.pk) is None
    assert [stage["state"] for stage in console.progress(row)["stages"]] == ["done"]


def test_what_cannot_be_asked_for(db, screening_on):
    with pytest.raises(InvalidInput, match="shoes"):
        screenings.request(["shoes"])
    with pytest.raises(UnknownScreening):
        screenings.get(1)
    screening_on(on=False)
    with pytest.raises(ScreeningOff):
        screenings.request()


def test_a_queued_pass_is_cancelled_at_once_and_a_lost_one_taken_up(pushed, settings):
    row = screenings.cancel(screenings.request().pk)
    assert row.status == "cancelled" and screenings.run(row.pk) is None
    lost = screenings.request()
    Screening.objects.filter(pk=lost.pk).update(status="running", tries=1, heartbeat_at=timezone.now())
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0}
    assert screenings.recover() == [lost.pk]
    again = screenings.run(lost.pk)
    assert (again.status, again.tries) == ("succeeded", 2) and Verdict.objects.count() == 13


def test_a_pass_that_takes_too_long_says_so(pushed, eyes):
    class OutOfTime(Exception):
        pass

    def late(columns, options, known=None):
        raise OutOfTime

    eyes(profile=late)
    row = screenings.run(screenings.request().pk, out_of_time=OutOfTime)
    assert row.status == "failed" and "longer than it may" in row.error


def test_old_passes_are_forgotten(db, monkeypatch):
    monkeypatch.setattr(screenings, "KEEP_ROWS", 2)
    rows = [done(hours=1) for _ in range(4)]
    screenings._forget_old()
    assert list(Screening.objects.order_by("id")) == rows[2:]


# When one is due


def test_the_first_is_due_as_soon_as_something_happened(items):
    assert screenings.due() == ""
    events.record(people.ensure("ada"), items["sea-00"], "view")
    assert screenings.due() == "first"


def test_a_training_that_has_yet_to_screen_does_it_instead(shop):
    run = Run.objects.create(trainer="als", status="running", stage="load")
    assert screenings.due() == ""
    Run.objects.filter(pk=run.pk).update(stage="fit")
    assert screenings.due() == "first"


def test_by_the_clock_only_where_something_happened_since(shop, screening_on):
    done(minutes=59)
    assert screenings.due() == ""
    Screening.objects.all().delete()
    done(minutes=61)
    assert screenings.due() == "schedule"
    Event.objects.update(received_at=timezone.now() - timedelta(hours=3))
    assert screenings.due() == ""
    screening_on(every_minutes=0)
    Event.objects.update(received_at=timezone.now())
    assert screenings.due() == ""


def test_a_burst_does_not_wait(shop, screening_on):
    screening_on(burst_events=240)
    done(seconds=30)
    assert screenings.due() == "burst"
    Event.objects.filter(pk=Event.objects.earliest("id").pk).update(received_at=timezone.now() - timedelta(minutes=5))
    assert screenings.due() == ""
    screening_on(burst_events=0)
    assert screenings.due() == ""


def test_after_a_failure_the_sweep_waits(shop):
    Screening.objects.create(status="failed", finished_at=timezone.now())
    assert screenings.due() == ""
    Screening.objects.update(finished_at=timezone.now() - timedelta(minutes=11))
    assert screenings.due() == "first"


def test_the_sweep_asks_and_calls_a_worker(shop, monkeypatch):
    called = []
    monkeypatch.setattr(tasks.screen, "apply_async", lambda args, **options: called.extend(args))
    tasks.sweep()
    tasks.sweep()
    row = Screening.objects.get()
    assert called == [row.pk] and row.requested_by == "sweep" and row.reason == "first" and row.enqueued_at
    tasks.screen(row.pk)
    row.refresh_from_db()
    assert row.status == "succeeded"


# Within a training


def test_a_training_leaves_out_what_is_found_and_says_so(pushed):
    run = carried_out()
    assert (run.status, run.error) == ("succeeded", "")
    assert [stage["stage"] for stage in run.stages] == list(training.STAGES)
    told = run.screening
    assert (told["events"], told["left_out"], told["weighed_down"]) == (312, 72, 4)
    assert told["visitors"] == {"left_out": 12, "weighed_down": 1} and told["failures"] == {}
    assert told["by"][0] == {"subject": "profile", "kind": "push", "left_out": 72, "weighed_down": 4, "verdicts": 13}
    assert len(told["quarantined"]) == 12 and told["effect"]["users"] == 59 and told["seconds"] > 0
    assert run.counts["learned"] == 240 and run.counts["left_out"] == 72 and run.counts["users"] == 60
    assert Event.objects.count() == 312  # none is deleted
    row = Screening.objects.get()
    assert (row.status, row.requested_by, told["screening"]) == ("succeeded", f"run {run.pk}", row.pk)


def staged() -> tuple[dict, event_log.EventLog, object]:
    """The stage alone: what the run says, and what it would learn from, by what trust."""
    run = Run.objects.create(trainer="als", status="succeeded")
    kept, trust = training_stage.screened(run, event_log.read(), Options(threads=1))
    return run.screening, kept, trust


def test_what_is_restored_is_learned_again(pushed):
    told, kept, _ = staged()
    assert len(kept) == 240
    effects.restore(Run(pk=1, screening=told), None)
    told, kept, _ = staged()
    assert told["left_out"] == 0 and len(kept) == 312


def test_an_open_verdicts_events_weigh_less_in_what_is_fitted(pushed, eyes):
    eyes(profile=by_visitor({PUSHERS[0]: 0.75}))
    _, kept, trust = staged()
    data = event_log.interactions(kept, trust)
    mine, other = (data.weights[data.user_rows == data.users.row(name)].max() for name in PUSHERS[:2])
    assert mine / other == pytest.approx(0.25, rel=0.01)


def test_a_detector_that_fails_never_fails_the_training(pushed, eyes, caplog):
    staged()
    eyes(profile=broken)
    run = carried_out()
    assert run.status == "succeeded" and "ZeroDivisionError" in run.screening["failures"]["profile"]
    assert run.screening["left_out"] == 72  # the verdicts that stand go on counting


def test_a_pass_or_weighing_that_breaks_never_fails_the_training(pushed, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise RuntimeError("gone")

    staged()
    monkeypatch.setattr(detection, "screen", fail)
    told, _, _ = staged()
    assert told["left_out"] == 72 and "gone" in told["failures"]["all"]
    monkeypatch.setattr(effects, "moved", fail)
    told, _, _ = staged()
    assert told["left_out"] == 72 and "gone" in told["effect"]["note"]
    monkeypatch.setattr(weighing, "weigh", fail)
    told, kept, trust = staged()
    assert "Every event counted in full" in told["failures"]["verdicts"] and len(kept) == 312 and trust is None


def test_too_few_rows_are_no_alarm(shop, eyes):
    eyes(profile=nothing)
    told, _, trust = staged()
    assert told["failures"] == {} and told["notes"] == {"profile": "Too few."}
    assert told["left_out"] == 0 and "effect" not in told and trust is None


def test_detectors_gone_mad_leave_the_training_alone(pushed, eyes):
    everybody = [f"{group}-fan-{number}" for group in ("sea", "hill") for number in range(30)]
    eyes(profile=by_visitor(dict.fromkeys(everybody, 0.99)))
    told, kept, _ = staged()
    assert len(kept) == 312 and "more than a third" in told["failures"]["all"]


def test_where_people_left_out_everything_the_run_says_so(shop, eyes):
    eyes(profile=nothing)
    words = {"subject": "profile", "kind": "x", "probability": 1, "state": "confirmed", "decided_at": timezone.now()}
    names = set(Event.objects.values_list("visitor", flat=True))
    Verdict.objects.bulk_create(Verdict(subject_id=name, visitor_id=name, **words) for name in names)
    run = carried_out()
    assert run.status == "failed" and "left out by what people confirmed" in run.error
    assert Event.objects.count() == 240


def test_turned_off_it_neither_looks_nor_weighs(pushed, screening_on):
    staged()
    screening_on(on=False)
    told, kept, trust = staged()
    assert told == {"on": False} and len(kept) == 312 and trust is None and screenings.due() == ""
