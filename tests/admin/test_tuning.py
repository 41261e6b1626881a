"""The page of what tuning found, and training with a row's settings."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.trials import State, Trial
from recommender.models import Run
from recommender.services import leaderboards
from recommender.services.leaderboards import Board, Entry

pytestmark = [pytest.mark.django_db, pytest.mark.database]

PAGE = "/admin/recommender/run/tuning/"
TRAIN = "/admin/recommender/run/train/"
BEST = {"regularization": 4.0, "power": 0.25}


def store(study: str = "site-ndcg10-abc", source: str = "site", days: int = 0, entries: Any = None) -> Board:
    best = Entry("ease", Trial(BEST, 0.125, number=3, low=0.11, high=0.14, fit_s=1.5), leads=True)
    tie = Entry("als", Trial({}, 0.124, low=0.1, high=0.13), Interval(0.001, -0.002, 0.004))
    worse = Entry("item_knn", Trial({"neighbours": 5}, 0.09, number=1, low=0.08, high=0.1), Interval(0.03, 0.02, 0.05))
    pruned = Entry("sasrec", Trial({"blocks": 2}, float("-inf"), State.PRUNED, 2, note="after epoch 3"))
    board = Board(
        study=study,
        source=source,
        protocol="this site's events",
        metric="ndcg@10",
        users=1234,
        seed=42,
        updated_at=timezone.now() - timedelta(days=days),
        ended="finished",
        entries=(best, tie, worse, pruned) if entries is None else entries,
        out={"spectral": "It is <slow>."},
    )
    (conf().tuning_dir / study).mkdir(parents=True)
    leaderboards.write(board)
    return board


def test_page_shows_the_boards(console: Client) -> None:
    store()
    html = console.get(PAGE).content.decode()
    for part in (
        "regularization=4.0, power=0.25",
        "0.1250",
        "0.1100–0.1400",
        "1,234 users",
        "after epoch 3",
        "NDCG@10",
    ):
        assert part.lower() in html.lower(), part
    assert "It is &lt;slow&gt;." in html
    assert html.count("Train with these settings") == 3  # what was pruned has no button
    assert ">tie</span>" in html


def test_list_of_runs_leads_there(console: Client) -> None:
    assert PAGE in console.get("/admin/recommender/run/").content.decode()


def test_button_queues_a_run_with_the_rows_settings(console: Client, woken: list[int]) -> None:
    store()
    html = console.get(PAGE).content.decode()
    assert f'action="{TRAIN}"' in html
    fields = {"trainer": "ease", "config": json.dumps(BEST), "reason": "tuned"}
    assert 'value="{&quot;regularization&quot;: 4.0, &quot;power&quot;: 0.25}"' in html
    console.post(TRAIN, fields)
    run = Run.objects.get()
    assert (run.trainer, run.config["regularization"], run.config["power"]) == ("ease", 4.0, 0.25)


def test_defaults_are_trained_with_as_defaults(console: Client, woken: list[int], settings: Any) -> None:
    """Not with the site's own settings, which an empty field of the form would stand for."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "trainer": "als", "trainer_config": {"factors": 7}}
    store()
    assert 'value="{}"' in console.get(PAGE).content.decode()
    console.post(TRAIN, {"trainer": "als", "config": "{}"})
    assert Run.objects.get().config["factors"] != 7


def test_a_search_that_has_not_ended_is_marked(console: Client) -> None:
    board = store()
    assert "not finished" not in console.get(PAGE).content.decode()
    leaderboards.write(replace(board, ended="running"))
    assert "not finished" in console.get(PAGE).content.decode()


def test_only_those_who_may_train_have_buttons(staff: Callable[..., Client]) -> None:
    store()
    html = staff("view_run").get(PAGE).content.decode()
    assert "Train with these settings" not in html
    assert "0.1250" in html


def test_others_see_nothing(staff: Callable[..., Client], client: Client) -> None:
    assert staff("view_item").get(PAGE).status_code == 403
    assert client.get(PAGE).url.startswith("/admin/login/")


def test_what_was_tuned_on_a_data_set_cannot_be_trained_with(console: Client) -> None:
    store("ml-1m-ndcg10-abc", source="ml-1m")
    assert "Train with these settings" not in console.get(PAGE).content.decode()


def test_nothing_tuned_and_nothing_tried(console: Client) -> None:
    assert "Nothing was tuned yet" in console.get(PAGE).content.decode()
    store(entries=())
    assert "Nothing was tried" in console.get(PAGE).content.decode()


def test_latest_first_and_the_others_a_click_away(console: Client) -> None:
    for days in range(5):
        store(f"study-{days}", days=days)
    html = console.get(PAGE).content.decode()
    assert html.index("<h2>study-0") < html.index("<h2>study-1") < html.index("<h2>study-2")
    assert "<h2>study-4" not in html
    assert 'href="?study=study-4"' in html
    chosen = console.get(PAGE, {"study": "study-4"}).content.decode()
    assert "<h2>study-4" in chosen
    assert "<h2>study-0" not in chosen
    assert console.get(PAGE, {"study": "../../etc"}).status_code == 200


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": 1}', "{", "\x00", "[" * 50_000])
def test_damaged_boards_are_said_beside_the_others(console: Client, text: str) -> None:
    store()
    folder: Path = conf().tuning_dir / "damaged-one"
    folder.mkdir()
    (folder / leaderboards.FILE).write_text(text)
    html = console.get(PAGE).content.decode()
    assert "The leaderboard of damaged-one cannot be read" in html
    assert "0.1250" in html
