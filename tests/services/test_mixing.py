"""What each source of candidates is worth, learned with a run and kept with it; a run is worth having without."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from recommender.conf import ServingSettings, conf
from recommender.engine import model as model_module
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import share_split
from recommender.engine.errors import Cancelled, InvalidConfig
from recommender.engine.evaluation import pools
from recommender.engine.model import LiveModel
from recommender.engine.ranking import mixing as learning
from recommender.engine.ranking import together
from recommender.engine.trainers import Options
from recommender.models import Event, Item, Run
from recommender.services import event_log, mixing, publishing, serving
from tests.contracts.trainer import fit
from tests.services.conftest import PER_GROUP, START, carried_out

# The heartbeat writes on a connection of its own, so that what the test writes must be committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_heart")]


@pytest.fixture
def judged(shop: dict[str, Item], settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Item]:
    """The shop, where everybody buys one more item of their taste at the end; sixty shoppers are enough to learn by."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "test_share": 0.2}
    monkeypatch.setattr(learning, "FEW_USERS", 20)
    Event.objects.bulk_create(
        Event(
            kind="purchase",
            visitor_id=f"{group}-fan-{number}",
            item_id=f"{group}-{(number + 4) % PER_GROUP:02d}",
            occurred_at=START + timedelta(days=9, minutes=number),
            session="late",
        )
        for number in range(3 * PER_GROUP)
        for group in ("sea", "hill")
    )
    return shop


def opened(run: Run) -> LiveModel:
    return model_module.open_model(conf().artifacts_dir / run.artifact)


def parts() -> tuple[Any, Interactions, Interactions, Interactions]:
    """Query, training and test part, and purchases, as a run has them."""
    kept, _ = event_log.without_repeats(event_log.read())
    data = event_log.interactions(kept)
    train, test, _ = share_split(data, conf().test_share)
    return fit("als", train, {"factors": 4}), train, test, event_log.purchases(kept, data)


@pytest.mark.database
def test_a_run_learns_a_mixer_that_serves(judged: dict[str, Item]) -> None:
    run = carried_out("als")
    assert run.status == "succeeded" and "mixing" in [stage["stage"] for stage in run.stages]
    figures = run.metrics["mixer"]
    assert figures["kind"] in ("weights", "first") and figures["users"] == 60
    assert 0 <= figures["model"] <= 1 and figures["gain"]["low"] <= figures["gain"]["value"] <= figures["gain"]["high"]
    model = opened(run)
    assert model.manifest["mixer"] == figures
    mixer = mixing.of(model)
    assert mixer.kind == figures["kind"] and mixing.of(model) is mixer and mixing.of(opened(run)) is not mixer
    publishing.publish(run.pk, "for the test")
    assert serving.recommend("sea-fan-0", 3).tier == "model"


def test_weights_go_into_the_artifact_and_back(judged: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "SURE", -100.0)  # whatever they gain
    run = carried_out("als")
    assert run.metrics["mixer"]["kind"] == "weights"
    stored = opened(run).artifact.arrays["further/mixer/weights"]
    np.testing.assert_allclose(mixing.of(opened(run)).weights, stored, rtol=1e-6)


def test_too_few_shoppers_teach_nothing(judged: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "FEW_USERS", 61)
    run = carried_out("als")
    assert run.status == "succeeded" and "mixer" not in run.metrics and "mixer" not in opened(run).manifest
    assert mixing.of(opened(run)).kind == "first"


def test_a_failure_costs_the_mixer_only(
    judged: dict[str, Item], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **terms: Any) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(learning, "learn", fail)
    run = carried_out("als")
    assert run.status == "succeeded" and "mixer" not in run.metrics and "could not be learned" in caplog.text


@pytest.mark.parametrize("error", [Cancelled(), TimeoutError("out of time")])
def test_whoever_stops_the_run_is_heard(judged: dict[str, Item], error: Exception) -> None:
    def stop(share: float, message: str) -> None:
        raise error

    with pytest.raises(type(error)):
        mixing.learned(*parts(), Options(progress=stop), (TimeoutError,))


def test_so_many_are_asked_and_no_more(judged: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    query, train, test, bought = parts()
    monkeypatch.setattr(mixing, "USERS", 30)
    assert mixing.learned(query, train, test, bought, Options())[1]["mixer"]["users"] == 30
    monkeypatch.setattr(mixing, "USERS", 2_000)
    monkeypatch.setattr(mixing, "CELLS", 10)
    monkeypatch.setattr(mixing, "FEWEST_USERS", 25)
    assert mixing.learned(query, train, test, bought, Options())[1]["mixer"]["users"] == 25


def test_nothing_of_what_came_next_is_in_the_pools(judged: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Interactions] = []
    real = together.bought_together
    monkeypatch.setattr(together, "bought_together", lambda data, *rest: counted.append(data) or real(data, *rest))
    query, train, test, bought = parts()
    assert bought.times.max() > train.times.max()
    mixing.learned(query, train, test, bought, Options())
    assert len(counted[0]) == 240 and counted[0].times.max() <= train.times.max() < test.times.min()


def test_what_was_added_later_is_not_new_yet(judged: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    real = pools.pools
    monkeypatch.setattr(pools, "pools", lambda *args, **terms: told.append(terms["newest"]) or real(*args, **terms))
    Item.objects.update(added_at=START)
    Item.objects.filter(pk="sea-03").update(added_at=START + timedelta(hours=2))
    Item.objects.filter(pk="sea-04").update(added_at=START + timedelta(days=20))
    query, train, test, bought = parts()
    mixing.learned(query, train, test, bought, Options())
    assert train.items.ids(told[0])[0] == "sea-03" and "sea-04" not in train.items.ids(told[0])


def test_users_without_a_history_are_not_asked(judged: dict[str, Item]) -> None:
    query, train, test, bought = parts()
    known = train.where(train.user_rows >= 30)
    _, facts = mixing.learned(query, known, test, bought, Options())
    assert facts["mixer"]["users"] == 30


def test_a_mixer_that_cannot_be_read_is_done_without(judged: dict[str, Item], caplog: pytest.LogCaptureFixture) -> None:
    model = opened(carried_out("als"))

    def damaged(facts: Any) -> LiveModel:
        return replace(model, artifact=replace(model.artifact, manifest={**model.manifest, "mixer": facts}))

    for number in range(mixing.MOST_OPENED + 2):
        assert mixing.of(damaged({"kind": "weights", "sources": number})).kind == "first"
    assert len(mixing._opened) <= mixing.MOST_OPENED and "cannot be read" in caplog.text


def test_an_unknown_way_to_mix_is_refused() -> None:
    assert ServingSettings(mixer="lambdamart").mixer == "lambdamart"
    with pytest.raises(InvalidConfig, match="mixer must be one of"):
        ServingSettings(mixer="guess")
