"""Experiments and outcomes on the console."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from recommender.models import Experiment, Item, Publication, Run, Variant
from recommender.services import publishing
from recommender.services.experiments import life
from tests.services.experiments.shown import ago, did, experiment, show, shown_to_many

pytestmark = [pytest.mark.django_db, pytest.mark.database]
INLINE = {"variants-TOTAL_FORMS": "2", "variants-INITIAL_FORMS": "0"}


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:recommender_{name}", args=args)


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def told(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def drafted(settings: str = '{"diversity": 0.5}', **more: Any) -> dict[str, Any]:
    return {
        "name": "variety", "metric": "click", "share": "0.5", "least_effect": "0.2", "baseline": "0.1",
        "most_days": "14", **INLINE,
        "variants-0-name": "control", "variants-0-control": "on", "variants-0-weight": "1", "variants-0-rules": "on",
        "variants-0-settings": "{}",
        "variants-1-name": "varied", "variants-1-weight": "1", "variants-1-settings": settings, **more,
    }  # fmt: skip


def running(counts: list[tuple[int, int]], **more: Any) -> Experiment:
    needs = more.pop("needed", 1000)
    one, variants = experiment(
        status="running", needed=needs, baseline=0.1, variants=len(counts), started_at=ago(days=3), **more
    )
    for variant, (visitors, hits) in zip(variants, counts, strict=True):
        shown_to_many(visitors, hits, ["item-0", "item-1"], variant.name, ago(hours=5), variant=variant)
    return one


def test_an_experiment_is_drafted_started_and_stopped(console: Client, shop: list[Item]) -> None:
    assert "There is none yet" in text(console, url("experiment_changelist"))
    answer = console.post(url("experiment_add"), drafted(), follow=True)
    assert answer.status_code == 200
    one = Experiment.objects.get()
    assert list(one.variants.values_list("name", "control", "settings", "rules")) == [
        ("control", True, {}, True), ("varied", False, {"diversity": 0.5}, False),
    ]  # fmt: skip
    assert url("experiment_start", one.pk) in text(console, url("experiment_change", one.pk))
    assert "50% are divided among control (1), varied (1)" in text(console, url("experiment_start", one.pk))
    assert "runs. It plans with 4,059 visitors" in told(console.post(url("experiment_start", one.pk), follow=True))
    html = text(console, url("experiment_change", one.pk))
    assert "Nobody has been shown anything by it yet" in html
    assert console.post(url("experiment_change", one.pk), drafted(name="other")).status_code == 200
    assert Experiment.objects.get().name == "variety"
    assert "already" in told(console.post(url("experiment_start", one.pk), follow=True))
    assert "not conclusive" in text(console, url("experiment_stop", one.pk))
    assert "Give a reason" in console.post(url("experiment_stop", one.pk)).content.decode()
    console.post(url("experiment_stop", one.pk), {"reason": "a sale began"})
    assert "a sale began" in text(console, url("experiment_change", one.pk))
    assert "a sale began" in text(console, url("experiment_history", one.pk))
    assert console.post(url("experiment_delete", one.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"variants-1-settings": "{"}, "Enter a valid JSON"),
        ({"variants-1-settings": '{"diversty": 1}'}, "No setting of a variant: diversty"),
        ({"variants-1-settings": '{"diversity": 7}'}, "diversity must be a number"),
        ({"variants-1-settings": "[1]"}, "object such as"),
        ({"variants-1-control": "on"}, "Mark one variant as the control"),
        ({"variants-1-name": ""}, "This field is required"),
        ({"variants-1-DELETE": "on"}, "two variants at least"),
        ({"share": "0"}, "above 0"),
        ({"share": "nan"}, "Enter a number"),
        ({"baseline": "1"}, "less than or equal"),
        ({"name": "two words"}, "slug"),
    ],
)
def test_what_makes_no_sense_is_refused(console: Client, change: dict[str, str], said: str) -> None:
    answer = console.post(url("experiment_add"), drafted(**change))
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Experiment.objects.exists()


def test_it_is_not_started_without_a_rate_to_plan_with(console: Client, shop: list[Item]) -> None:
    console.post(url("experiment_add"), drafted(baseline=""))
    answer = console.post(url("experiment_start", Experiment.objects.get().pk), follow=True)
    assert "Say which rate is expected" in told(answer)
    assert Experiment.objects.get().status == "draft"


def test_results_say_what_is_certain_and_what_is_not(console: Client, shop: list[Item]) -> None:
    one = running([(300, 30), (300, 36)])
    html = text(console, url("experiment_change", one.pk))
    assert "Not yet conclusive" in html
    assert "12.0\u00a0%" in html
    assert "300<br>" in html
    Experiment.objects.update(needed=300)
    assert "no difference found" in text(console, url("experiment_change", one.pk))


def test_an_uneven_split_is_said_loudly_and_nothing_is_concluded(console: Client, shop: list[Item]) -> None:
    one = running([(400, 40), (250, 90)])
    html = text(console, url("experiment_change", one.pk))
    assert 'role="alert"' in html
    assert "No verdict" in html
    assert "withheld" in html
    assert "▲" not in html


def test_the_winner_is_made_live(console: Client, shop: list[Item], finished: Callable[..., Run]) -> None:
    live, better = finished(), finished()
    publishing.publish(live.pk, "first")
    one = running([(700, 70), (700, 150)])
    winner = Variant.objects.get(experiment=one, name="b")
    Variant.objects.filter(pk=winner.pk).update(run=better)
    address = url("experiment_live", one.pk, winner.pk)
    assert "Only a variant of a stopped" in told(console.get(address, follow=True))
    life.tend()
    html = text(console, url("experiment_change", one.pk))
    assert address in html
    assert "put into <code>SERVING</code>" in html
    assert "The variant also sets" in text(console, address)
    assert f"Run {better.pk} is live." in told(console.post(address, {"reason": "it won"}, follow=True))
    assert publishing.live_run_id() == better.pk
    assert address not in text(console, url("experiment_change", one.pk))


def test_who_may_not_is_refused(staff: Callable[..., Client], shop: list[Item]) -> None:
    one = running([(10, 1), (10, 1)])
    looker = staff("view_experiment")
    html = text(looker, url("experiment_change", one.pk))
    assert url("experiment_stop", one.pk) not in html
    for name in ("start", "stop"):
        assert looker.post(url(f"experiment_{name}", one.pk), {"reason": "no"}).status_code == 403
    assert looker.get(url("answer_changelist")).status_code == 403
    assert looker.get(url("experiment_add")).status_code == 403


def test_outcomes_are_by_run_shelf_and_place(console: Client, shop: list[Item], finished: Callable[..., Run]) -> None:
    assert "Nothing yet" in text(console, url("answer_changelist"))
    before, run = finished(), finished()
    shown_to_many(100, 10, ["item-0", "item-1"], "old", ago(days=3), run=before)
    shown_to_many(100, 30, ["item-0", "item-1"], "new", ago(hours=5), run=run)
    did("purchase", "new-99", "item-1", show("new-99", ["item-1"], ago(hours=1), run=run, shelf="similar"))
    html = text(console, url("answer_changelist"))
    assert f"Run {before.pk}" in html
    assert "+197%" in html  # 30 of 101 against 10 of 100
    assert "similar" in html
    assert "the run before" in html
    assert f"Run {before.pk}</a>" not in text(console, url("answer_changelist") + "?days=1")
    assert text(console, url("answer_changelist") + "?days=nonsense")
    page = text(console, url("run_change", run.pk))
    assert "What shoppers did" in page
    assert "29.7\u00a0%" in page
    row = show("new-1", ["item-0"])
    assert console.get(url("answer_change", row.pk)).status_code in (302, 403)  # who was shown what is nobody's to read


def test_a_run_is_estimated_when_asked(console: Client, shop: list[Item], finished: Callable[..., Run]) -> None:
    run = finished()
    address = url("run_estimate", run.pk)
    assert address in text(console, url("run_change", run.pk))
    assert "before it goes live" in text(console, address)
    assert "Too little to say anything" in console.post(address).content.decode()
    for number in range(40):
        answer = show(f"v{number}", ["item-3", "item-0"], ago(hours=1), explored=2, chances={"item-0": 1.0})
        if number % 4 == 0:
            did("click", f"v{number}", "item-0", answer)
    html = console.post(address).content.decode()
    assert "25.0\u00a0%" in html
    assert "Chance explains the difference" in html
    Run.objects.update(artifact="gone")
    assert "cannot be estimated" in told(console.post(address))


def test_a_roll_back_by_itself_is_said_on_the_first_page(console: Client, finished: Callable[..., Run]) -> None:
    for _ in range(2):
        publishing.publish(finished().pk, "as usual")
    publishing.roll_back("Taken back by itself: nobody clicked.")
    html = text(console, reverse("admin:index"))
    assert 'class="console-warning" role="alert">since' in html
    assert "Taken back by itself: nobody clicked." in html
    assert "the watch" in text(console, url("publication_changelist"))
    assert "Taken back by itself" in text(console, url("answer_changelist"))
    assert Publication.objects.count() == 3
