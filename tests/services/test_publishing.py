"""Which run serves: every move of the pointer, and the way back."""

import shutil

import pytest

from recommender.conf import conf
from recommender.engine.errors import ArtifactDamaged, ArtifactMissing
from recommender.models import Publication, Run
from recommender.services import publishing
from recommender.services.errors import InvalidInput, NothingToRollBackTo, RunNotPublishable, UnknownRun

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def runs(finished) -> dict[str, Run]:
    return {name: finished() for name in "ABC"}


def after(runs: dict[str, Run], moves: str) -> tuple[str, str]:
    """Who is live and who would be rolled back to after `moves`: a letter publishes, < rolls back, - withdraws."""
    for move in moves:
        if move == "<":
            publishing.roll_back("better before")
        elif move == "-":
            publishing.withdraw("none is good")
        else:
            publishing.publish(runs[move].pk, "new")
    names = {run.pk: name for name, run in runs.items()}
    target = publishing.roll_back_target()
    return names.get(publishing.live_run_id(), ""), names[target.pk] if target else ""


@pytest.mark.parametrize(
    ("moves", "live", "target"),
    [
        ("", "", ""),
        ("A", "A", ""),
        ("AB", "B", "A"),
        ("ABC", "C", "B"),
        ("ABC<", "B", "A"),
        ("ABC<<", "A", ""),
        ("AB<B", "B", "A"),
        ("AB<C", "C", "A"),
        ("AA", "A", ""),
        ("AAB<", "A", ""),
        ("ABA", "A", "B"),
        ("ABA<", "B", "A"),
        ("ABA<<", "A", ""),
        ("ABAC<", "A", "B"),
        ("ABAC<<", "B", "A"),
        ("-", "", ""),
        ("A-", "", "A"),
        ("A--", "", "A"),
        ("A-<", "A", ""),
        ("AB-<", "B", "A"),
        ("AB-<<", "A", ""),
        ("AB<-", "", "A"),
        ("AB<-<", "A", ""),
        ("A-B", "B", "A"),
        ("A-B<", "A", ""),
        ("A-A", "A", ""),
    ],
)
def test_the_pointer_and_the_way_back(runs, moves, live, target):
    assert after(runs, moves) == (live, target)


@pytest.mark.parametrize("moves", ["", "A", "AB<", "-"])
def test_without_an_earlier_run_there_is_no_way_back(runs, moves):
    after(runs, moves)
    before = Publication.objects.count()
    with pytest.raises(NothingToRollBackTo):
        publishing.roll_back("please")
    assert Publication.objects.count() == before


def test_the_history_remembers_who_why_and_what_was_before(runs, admin_user):
    after(runs, "AB")
    made = publishing.roll_back("  worse clicks  ", by=admin_user)
    assert (made.run, made.previous, made.action, made.reason, made.by) == (
        runs["A"],
        runs["B"],
        "roll_back",
        "worse clicks",
        admin_user,
    )
    assert publishing.live_run() == runs["A"] and Publication.objects.count() == 3


@pytest.mark.parametrize("reason", ["", "   ", "x" * 301])
def test_every_move_needs_a_reason(runs, reason):
    after(runs, "AB")
    for move in (lambda: publishing.publish(runs["C"].pk, reason), lambda: publishing.roll_back(reason)):
        with pytest.raises(InvalidInput):
            move()
    with pytest.raises(InvalidInput):
        publishing.withdraw(reason)
    assert publishing.live_run() == runs["B"]


@pytest.mark.parametrize("status", ["queued", "failed", "cancelled", "running"])
def test_a_run_that_did_not_end_well_cannot_be_published(finished, status):
    run = finished(status)
    with pytest.raises(RunNotPublishable):
        publishing.publish(run.pk, "please")


def test_a_run_that_the_gate_refused_can_be_published_by_a_person(finished):
    run = finished(Run.Status.REFUSED)
    publishing.publish(run.pk, "I know better")
    assert publishing.live_run() == run


def test_an_unknown_run_cannot_be_published(db):
    with pytest.raises(UnknownRun):
        publishing.publish(99, "please")


def test_a_run_without_an_artifact_cannot_be_published(finished):
    run = finished()
    Run.objects.update(artifact="")
    with pytest.raises(RunNotPublishable):
        publishing.publish(run.pk, "please")


@pytest.mark.parametrize("harm", ["gone", "flipped", "cut", "unreadable by this code"])
def test_what_could_not_serve_does_not_go_live(runs, harm, monkeypatch):
    after(runs, "AB")
    folder = conf().artifacts_dir / runs["A"].artifact
    popularity = folder / "popularity.npy"
    if harm == "gone":
        shutil.rmtree(folder)
    elif harm == "flipped":
        data = bytearray(popularity.read_bytes())
        data[-1] ^= 1
        popularity.write_bytes(data)
    elif harm == "cut":
        popularity.write_bytes(popularity.read_bytes()[:-4])
    else:
        monkeypatch.delitem(publishing.open_model.__globals__["trainer"].__globals__["TRAINERS"], "als")
    for move in (lambda: publishing.publish(runs["A"].pk, "please"), lambda: publishing.roll_back("please")):
        with pytest.raises((ArtifactMissing, ArtifactDamaged)):
            move()
    assert publishing.live_run() == runs["B"]


def test_old_artifacts_that_never_served_are_swept(finished, settings):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "keep_artifacts": 2}
    runs = [finished(status) for status in ("succeeded", "succeeded", "refused", "refused", "succeeded")]
    publishing.publish(runs[0].pk, "the first")
    publishing.publish(runs[2].pk, "the third")
    assert publishing.sweep_artifacts() == [runs[1].artifact]
    kept = set(Run.objects.exclude(artifact="").values_list("pk", flat=True))
    assert kept == {run.pk for run in runs} - {runs[1].pk}
    assert {path.name for path in conf().artifacts_dir.iterdir()} == {run.artifact for run in runs if run.pk in kept}
    assert publishing.sweep_artifacts() == []
    with pytest.raises(RunNotPublishable):
        publishing.publish(runs[1].pk, "too late")


def test_a_run_published_while_its_artifact_is_swept_is_not_torn(finished, settings, monkeypatch):
    settings.RECOMMENDER = {**settings.RECOMMENDER, "keep_artifacts": 0}
    run = finished()
    opened = publishing.open_model

    def swept_meanwhile(path):
        model = opened(path)
        publishing.sweep_artifacts()
        return model

    monkeypatch.setattr(publishing, "open_model", swept_meanwhile)
    with pytest.raises(RunNotPublishable):
        publishing.publish(run.pk, "please")
    assert publishing.live_run() is None
