"""What a run would have brought, told by chance: in a shop whose shoppers like either the sea or the hills."""

from collections.abc import Callable
from datetime import datetime
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.models import Answer, Run
from recommender.services.errors import RunNotPublishable, UnknownRun
from recommender.services.experiments import off_policy
from tests.services.conftest import HILL, SEA, START
from tests.services.experiments.shown import ago, did, show

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def explored(rng: np.random.Generator, count: int, at: datetime | None = None) -> None:
    """Lists whose third place chance drew among a thing of the sea and one of the hills, both next to what is bought.
    Of what suits the shopper half is clicked, of the other a tenth."""
    for number in range(count):
        fan = (SEA, HILL)[number % 2]
        could = [f"{group}-{(number // 2 + 4) % 10:02d}" for group in (SEA, HILL)]
        drawn = int(rng.random() < 0.5)
        shown = show(
            f"{fan}-fan-{number // 2 % 30}", ["sea-00", "hill-00", could[drawn]], at or ago(hours=1),
            explored=3, chances=dict.fromkeys(could, 0.5),
        )  # fmt: skip
        if rng.random() < (0.5 if could[drawn].startswith(fan) else 0.1):
            did("click", shown.visitor_id, could[drawn], shown)


def test_a_run_that_knows_its_shoppers_beats_chance(shop: Any, finished: Callable[..., Run]) -> None:
    explored(np.random.default_rng(4), 400)
    found = off_policy.estimate(finished().pk)
    assert found.answers == 400
    assert 150 < found.matched < 250
    assert found.snips.low < 0.5 < found.snips.high
    assert found.ips.low < 0.5 < found.ips.high
    assert found.shown.low < 0.3 < found.shown.high
    assert (found.verdict, found.left_out) == ("better", 0)


def test_what_was_done_later_is_not_known_yet(shop: Any, finished: Callable[..., Run]) -> None:
    """Before their first purchase nobody's taste was known: the run has only what is popular to go by."""
    explored(np.random.default_rng(4), 200, START.replace(year=2025))
    found = off_policy.estimate(finished().pk)
    assert found.verdict != "better"
    assert abs(found.snips.value - 0.3) < 0.15


def test_rows_that_say_nothing_are_left_out(shop: Any, finished: Callable[..., Run]) -> None:
    run = finished()
    show("sea-fan-0", ["sea-00"], ago(hours=1), explored=2, chances={"sea-00": 1.0})
    show("sea-fan-0", ["sea-00"], ago(hours=1), explored=1, chances={"sea-01": 1.0})
    show("sea-fan-0", ["new"], ago(hours=1), explored=1, chances={"new": 1.0})
    show("sea-fan-0", ["sea-00"], ago(minutes=1), explored=1, chances={"sea-00": 1.0})
    show("", ["sea-00"], ago(hours=1), explored=1, chances={"sea-00": 1.0})
    found = off_policy.estimate(run.pk)
    assert (found.answers, found.left_out, found.verdict) == (0, 1, "few")


def test_a_run_without_a_model_is_refused(db: None) -> None:
    with pytest.raises(UnknownRun):
        off_policy.estimate(77)
    with pytest.raises(RunNotPublishable):
        off_policy.estimate(Run.objects.create(trainer="als", status="failed").pk)


def test_the_command_says_it_in_words(shop: Any, finished: Callable[..., Run]) -> None:
    run, out = finished(), StringIO()
    call_command("estimate", run.pk, stdout=out)
    assert "Too little" in out.getvalue()
    explored(np.random.default_rng(4), 120)
    call_command("estimate", run.pk, stdout=out)
    assert "SNIPS" in out.getvalue()
    with pytest.raises(CommandError, match="no such run"):
        call_command("estimate", 99)
    assert Answer.objects.count() == 120
