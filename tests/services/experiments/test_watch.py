"""The live run is rolled back where shoppers turn away from it, and only there."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from recommender.conf import conf
from recommender.models import Publication, Run
from recommender.services import publishing
from recommender.services.experiments import outcomes, watch
from recommender.services.experiments.watch import Visits
from tests.services.experiments.shown import ago, did, experiment, show, shown_to_many

HOURS = 30  # since the new run went live


@pytest.fixture
def published(shop: Any, finished: Callable[..., Run]) -> tuple[Run, Run]:
    """A run that served, and one that took its place some hours ago."""
    before, live = finished(), finished()
    watch.forget()
    for run, at in ((before, ago(days=9)), (live, ago(hours=HOURS))):
        Publication.objects.filter(pk=publishing.publish(run.pk, "for the tests").pk).update(at=at)
    return before, live


def seen(published: tuple[Run, Run], hits: int, before: int = 120, count: int = 600) -> None:
    """So many visitors of each run, of whom so many clicked."""
    shown_to_many(count, before, ["sea-00", "sea-01"], "before", ago(hours=HOURS + 20), run=published[0])
    shown_to_many(count, hits, ["sea-00", "sea-01"], "live", ago(hours=5), run=published[1])


@pytest.mark.database
def test_a_run_that_shoppers_turn_away_from_is_rolled_back_once(published: tuple[Run, Run], settings: Any) -> None:
    settings.RECOMMENDER = {
        **settings.RECOMMENDER, "alerts": {**settings.RECOMMENDER.get("alerts", {}), "email": ["staff@example.com"]},
    }  # fmt: skip
    settings.EMAIL_URL = "memory://"
    before, live = published
    seen(published, 24)
    done = watch.look()
    assert done is not None
    assert (done.action, done.run, done.by, publishing.live_run_id()) == ("roll_back", before, None, before.pk)
    assert done.reason.startswith(f"Taken back by itself: of 600 answers of run {live.pk}, 4.00% were clicked")
    assert "of run " + str(before.pk) in done.reason
    assert "20.00%" in done.reason
    assert watch.latest() == done
    (message,) = mail.outbox
    assert message.subject == f"[{conf().shop_name}] Run {live.pk} was rolled back to run {before.pk}"
    assert watch.look() is None
    publishing.publish(live.pk, "it is meant to be", by=User.objects.create_user("eve"))
    watch.forget()
    assert watch.latest() is None
    assert watch.look(timezone.now() + timedelta(hours=1)) is None
    assert publishing.live_run_id() == live.pk


@pytest.mark.parametrize(
    ("hits", "count"),
    [(120, 600), (100, 600), (0, 400), (2, 45)],
    ids=["as good", "a little worse", "too few answers", "too few visitors"],
)
def test_other_runs_stay(published: tuple[Run, Run], hits: int, count: int) -> None:
    shown_to_many(600, 120, ["sea-00"], "before", ago(hours=HOURS + 20), run=published[0])
    for hour in range(12 if count < 50 else 1):
        shown_to_many(count, hits, ["sea-00"], "live", ago(hours=3 + hour), run=published[1])
    assert watch.look() is None
    assert publishing.live_run_id() == published[1].pk


def test_what_cannot_have_been_clicked_yet_does_not_count(published: tuple[Run, Run]) -> None:
    seen(published, 120)
    shown_to_many(3000, 0, ["sea-00"], "just", ago(minutes=5), run=published[1])
    assert watch.look() is None


def test_other_shelves_variants_and_settings_do_not_count(published: tuple[Run, Run], settings: Any) -> None:
    seen(published, 120)
    _, (_, variant) = experiment()
    shown_to_many(900, 0, ["sea-00"], "new", ago(hours=4), run=published[1], shelf="never-there-before")
    shown_to_many(900, 0, ["sea-00"], "try", ago(hours=4), run=published[1], variant=variant)
    assert watch.look() is None
    settings.RECOMMENDER = {**settings.RECOMMENDER, "serving": {"watch": {}}}
    shown_to_many(900, 0, ["sea-00"], "bad", ago(hours=4), run=published[1])
    watch.forget()
    assert watch.look() is None


def test_without_a_run_to_go_back_to_nothing_is_done(live: Run) -> None:
    watch.forget()
    assert watch.look() is None
    publishing.withdraw("for the tests")
    assert watch.look() is None


def test_it_looks_less_often_as_the_run_grows_old(published: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(watch, "measured", lambda *args: asked.append(args))
    now = timezone.now()
    for minutes in (0, 1, 30, 60, 61):
        watch.look(now + timedelta(minutes=minutes))
    assert len(asked) == 2


@pytest.mark.database
def test_carts_and_purchases_count_by_the_visitor(published: tuple[Run, Run]) -> None:
    start = ago(hours=40)
    for name in ("a", "b", "c"):
        show(name, ["sea-00", "sea-01"], start, run=published[0])
    did("purchase", "a", "sea-01", occurred_at=start + timedelta(hours=20))
    did("purchase", "b", "sea-02", occurred_at=start + timedelta(hours=1))
    did("purchase", "c", "sea-01", occurred_at=start + timedelta(hours=25))
    did("cart", "c", "sea-01", occurred_at=start + timedelta(hours=1))
    found = {
        metric: watch.visits(published[0].pk, ago(days=3), ago(hours=1), metric) for metric in outcomes.METRICS
    }  # fmt: skip
    assert {metric: (one.answers.sum(), one.hits.sum()) for metric, one in found.items()} == {
        "click_rate": (3, 0), "cart_rate": (3, 1), "purchase_rate": (3, 1),
    }  # fmt: skip


def test_the_first_day_is_compared_with_the_same_hours() -> None:
    midnight = timezone.localtime(ago(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    evening, night = midnight + timedelta(hours=22, minutes=30), midnight + timedelta(hours=25, minutes=10)
    assert watch._hours(evening, night) == [0, 1, 22, 23]
    assert watch._hours(midnight, midnight + timedelta(hours=24)) is None


# Simulated: visitors who differ, come back, and are looked at again and again.


def world(rng: np.random.Generator, visitors: int, rate: float) -> Visits:
    """One shelf's visits, in the order in which visitors came: some come often, some click on everything."""
    answers = rng.geometric(0.4, visitors).astype(float)
    eager = rng.beta(2 * rate, 2 * (1 - rate), visitors)
    hits = rng.binomial(answers.astype(int), eager).astype(float)
    return Visits(("for-you",), np.zeros(visitors, int), np.arange(visitors), answers, hits)


def taken_back(seed: int, rate: float, looks: int = 8) -> bool:
    """Whether a run of this rate, after one of 10 %, is certainly worse by 30 % at any of the looks."""
    rng = np.random.default_rng(seed)
    before, live = world(rng, 2000, 0.1), world(rng, 2000, rate)
    for count in np.geomspace(200, 2000, looks).astype(int):
        so_far = Visits(live.names, *(part[:count] for part in (live.shelves, live.visitors, live.answers, live.hits)))
        if (found := watch.compare(so_far, before, 0.3)) and found.certain:
            return True
    return False


def test_a_run_at_the_bound_is_taken_back_once_in_twenty_at_most() -> None:
    assert sum(taken_back(seed, 0.07) for seed in range(60)) <= 3


def test_a_run_as_good_as_before_stays_and_a_bad_one_goes() -> None:
    assert not any(taken_back(seed, 0.1) for seed in range(40))
    assert sum(taken_back(seed, 0.03) for seed in range(30)) >= 28
