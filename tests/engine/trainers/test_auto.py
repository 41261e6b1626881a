import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, TooLarge
from recommender.engine.model import open_model, write_model
from recommender.engine.trainers import TRAINERS, Options, Settles, make_config, trainer
from recommender.engine.trainers import attempts as attempting
from recommender.engine.trainers.als import AlsTrainer
from recommender.engine.trainers.auto import AutoTrainer, describe
from recommender.engine.trainers.ease import EaseTrainer
from recommender.engine.trainers.item_knn import ItemKnnTrainer
from recommender.engine.trainers.parts import Cut, cut, earlier
from recommender.engine.trainers.popularity import PopularityTrainer
from recommender.engine.trainers.presets import PRESETS
from tests import worlds
from tests.contracts.trainer import TrainerContract

QUICK: dict[str, Any] = {"candidates": ("popularity", "item_knn", "item_knn_sequence"), "trials": 2}


class TestAuto(TrainerContract):
    name = "auto"
    config: ClassVar = QUICK

    def test_the_same_seed_gives_the_same_arrays(self, world: Interactions) -> None:
        """But for the seconds that were measured."""
        first, second = (AutoTrainer.fit(world, make_config("auto", QUICK), Options(seed=7)) for _ in range(2))
        assert set(first) == set(second)
        for key in set(first) - {"choice"}:
            np.testing.assert_array_equal(first[key], second[key])
        said = [describe(arrays) for arrays in (first, second)]
        for choice in said:
            for one in choice["tried"]:
                assert one.pop("seconds") >= 0
        assert said[0] == said[1]


class TestAutoThatChoseBefore(TrainerContract):
    name = "auto"
    config: ClassVar = {"choice": {"trainer": "als", "config": {"factors": 2, "iterations": 5}}}


def rounds(users: int = 150, items: int = 60, per_user: int = 10, seed: int = 3) -> Interactions:
    """Everyone starts somewhere, and after item i comes i + 7, round and round: only order tells what is next."""
    random = np.random.default_rng(seed)
    start = random.integers(0, items, users)
    item_rows = (start[:, None] + 7 * np.arange(per_user)) % items
    times = np.arange(per_user) * users + random.integers(0, 5, users)[:, None]
    return Interactions.build(
        worlds.numbered(users, "u"),
        worlds.numbered(items, "i"),
        np.repeat(np.arange(users), per_user),
        item_rows.ravel(),
        times=times.ravel(),
    )


def tastes(users: int = 120, seed: int = 1, timed: bool = True) -> Interactions:
    """Groups of ten items, one taste each; times are chance, or say nothing."""
    random = np.random.default_rng(seed)
    user_rows = np.repeat(np.arange(users), 6)
    item_rows = 10 * (user_rows % 4) + random.integers(0, 10, len(user_rows))
    times = random.permutation(len(user_rows)) if timed else np.zeros(len(user_rows), int)
    return Interactions.build(worlds.numbered(users, "u"), worlds.numbered(40, "i"), user_rows, item_rows, times=times)


def choose(data: Interactions, options: Options | None = None, **config: Any) -> dict[str, Any]:
    config = {"trials": 0, "blend": False, **config}
    return describe(AutoTrainer.fit(data, make_config("auto", config), options or Options()))


def test_where_order_matters_it_takes_what_reads_it() -> None:
    choice = choose(rounds(), candidates=("popularity", "item_knn", "item_knn_sequence", "als"))
    assert choice["name"] == "item_knn_sequence"
    assert choice["config"]["counting"] == "sequence"
    assert choice["ndcg@10"] > 0.9


def test_where_it_does_not_it_takes_what_knows_tastes() -> None:
    choice = choose(tastes(timed=False), candidates=("popularity", "als", "ease", "item_knn_sequence"))
    assert choice["name"] in ("als", "ease")
    assert "item_knn_sequence" not in {one["name"] for one in choice["tried"]}  # there is no order to read


def test_where_nobody_has_a_taste_popularity_is_enough() -> None:
    data = worlds.long_tail()
    untimed = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, times=np.zeros(len(data)))
    choice = choose(untimed, candidates=("popularity", "item_knn", "als"))
    assert choice["name"] == "popularity"


def test_a_shop_too_small_to_tell_is_not_left_with_popularity() -> None:
    choice = choose(worlds.single_user(), candidates=("popularity", "item_knn", "als"))
    assert [one["ndcg@10"] for one in choice["tried"]] == [1.0] * 3
    assert choice["name"] == "item_knn"


def test_what_was_tried_is_told_best_first() -> None:
    choice = choose(tastes(), candidates=("popularity", "item_knn"), trials=3)
    figures = [one["ndcg@10"] for one in choice["tried"]]
    assert figures == sorted(figures, reverse=True)
    assert {one["name"] for one in choice["tried"]} == {"popularity", "item_knn"}
    assert sum(one["tuned"] for one in choice["tried"]) == 3
    assert choice["users"] > 50
    assert choice["tried"][0]["config"]["neighbours"] > 0


def test_what_is_served_is_what_the_chosen_trainer_learns_from_everything() -> None:
    data = tastes()
    arrays = AutoTrainer.fit(data, make_config("auto", {"candidates": ("item_knn",), "trials": 0}), Options())
    kind, config = trainer("item_knn"), make_config("item_knn", {})
    direct = kind.fit(data, config, Options())
    assert set(arrays) == {*direct, "choice"}
    for key in direct:
        np.testing.assert_array_equal(arrays[key], direct[key])


def test_earlier_cuts_are_learned_from_what_precedes_them() -> None:
    data = tastes(users=300)
    options = Options()
    rest, judge = cut(data, 0.15, 6000, options)
    assert judge is not None
    last = Cut(rest, judge)
    second, third = earlier(data, last, 0.15, 6000, options, 2)
    assert (len(rest), len(second.data), len(third.data)) == (1530, 1260, 990)
    assert second.data.times.max() < rest.times.max()
    assert set(second.data.times) < set(rest.times)
    assert len(earlier(data, last, 0.15, len(judge), options, 2)) == 0  # enough have been asked
    assert len(earlier(data, last, 0.15, len(judge) + 10, options, 2)[0].judge) == 10
    assert earlier(data, last, 0.15, 6000, Options(held=data), 2) == []


def test_events_given_to_judge_by_are_used_and_nothing_is_fitted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    data, sizes = tastes(), []
    last = np.zeros(len(data), bool)
    last[data.indptr[1:] - 1] = True
    real = ItemKnnTrainer.fit

    def counted(data: Interactions, *rest: Any) -> Any:
        sizes.append(len(data))
        return real(data, *rest)

    monkeypatch.setattr(ItemKnnTrainer, "fit", staticmethod(counted))
    train, held = data.where(~last), data.where(last)
    choice = choose(train, Options(held=held), candidates=("item_knn",))
    assert sizes == [len(train)]
    assert 0 < choice["users"] <= 120


class Sees:
    """Knows one of the signs of what each user wants, whatever it learned; users are told apart by their times."""

    item_vectors = None

    def __init__(self, signs: Any) -> None:
        self.signs = signs.astype(np.float32)

    def scores(self, histories: Histories) -> Any:
        return self.signs[histories.times[histories.indptr[1:] - 1] % len(self.signs)]


def test_a_blend_is_taken_where_it_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    users, items, per_user = 300, 50, 10
    signs = np.random.default_rng(0).standard_normal((2, users, items))
    wanted = np.argsort(-signs.sum(axis=0), axis=1)[:, :per_user]
    wanted = np.random.default_rng(1).permuted(wanted, axis=1)
    rows, places = np.divmod(np.arange(users * per_user), per_user)
    data = Interactions.build(
        worlds.numbered(users, "u"), worlds.numbered(items, "i"), rows, wanted.ravel(), times=places * users + rows
    )
    for kind, sign in ((ItemKnnTrainer, signs[0]), (AlsTrainer, signs[1])):
        monkeypatch.setattr(kind, "query", staticmethod(lambda arrays, config, sign=sign: Sees(sign)))
    config = make_config("auto", {"candidates": ("popularity", "item_knn", "als"), "trials": 0})
    arrays = AutoTrainer.fit(data, config, Options())
    choice = AutoTrainer.described(arrays)
    assert choice["trainer"] == choice["tried"][0]["name"] == "blend"
    weights = {part["name"]: part["weight"] for part in choice["parts"]}
    assert weights == pytest.approx({"item_knn": 0.5, "als": 0.5}, abs=0.15)
    assert choice["ndcg@10"] > 1.2 * choice["tried"][1]["ndcg@10"]
    assert len(arrays["als/item_vectors"]) == len(arrays["item_knn/rows"]) == items
    assert AutoTrainer.settled(arrays, config).choice["config"]["weights"] == pytest.approx(arrays["weights"].tolist())


def test_a_candidate_that_cannot_be_fitted_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def refuse(*args: Any) -> Any:
        raise TooLarge("Much.")

    monkeypatch.setattr(EaseTrainer, "fit", staticmethod(refuse))
    options = Options(progress=lambda share, message: said.append(message))
    choice = choose(tastes(), options, candidates=("popularity", "ease"))
    assert choice["name"] == "popularity"
    assert any("ease is out" in message and "Much." in message for message in said)
    monkeypatch.setattr(PopularityTrainer, "fit", staticmethod(refuse))
    with pytest.raises(TooLarge):
        choose(tastes(), candidates=("popularity", "ease"))


def test_a_winner_that_fails_on_everything_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    data, real = tastes(), EaseTrainer.fit

    def refuse(given: Interactions, config: Any, options: Options) -> Any:
        if len(given) == len(data):
            raise TooLarge("Much.")
        return real(given, config, options)

    monkeypatch.setattr(EaseTrainer, "fit", staticmethod(refuse))
    choice = choose(data, candidates=("popularity", "ease"))
    assert choice["name"] == "popularity"
    assert choice["tried"][0]["name"] == "ease"


def test_presets_for_histories_of_another_length_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(attempting.Search, "attempt", lambda self, name, *rest: asked.append(name))
    with contextlib.suppress(Exception):
        choose(tastes())
    assert "sasrec_short" in asked
    assert "sasrec_long" not in asked
    assert len(asked) == len(PRESETS) - 1


def test_where_times_say_nothing_what_forgets_gives_way_to_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(attempting.Search, "attempt", lambda self, name, *rest: asked.append(name))
    with contextlib.suppress(Exception):
        choose(tastes(timed=False))
    assert {"item_knn_untimed", "spectral_dense", "ease_untimed", "als", "popularity"} < set(asked)
    assert not {"item_knn", "spectral", "ease", "sasrec_short"} & set(asked)


def test_cancelling_stops_it_in_the_midst() -> None:
    calls = []

    def cancel(share: float, message: str) -> None:
        calls.append(message)
        if len(calls) == 8:
            raise Cancelled()

    with pytest.raises(Cancelled):
        choose(tastes(), Options(progress=cancel), candidates=("popularity", "item_knn", "als"))
    assert len(calls) == 8


def test_presets_are_valid_and_ordered_from_the_cheapest() -> None:
    names = list(PRESETS)
    assert names[0] == "popularity"
    for name, preset in PRESETS.items():
        if preset.trainer in TRAINERS:
            make_config(preset.trainer, preset.settings)
            assert name not in TRAINERS or (name == preset.trainer and not preset.settings)
        assert names.index(name) >= names.index("popularity")


def test_what_was_settled_is_fitted_without_choosing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data, config = tastes(), make_config("auto", QUICK)
    assert isinstance(AutoTrainer, Settles)
    arrays = AutoTrainer.fit(data, config, Options())
    settled = AutoTrainer.settled(arrays, config)
    settled = make_config("auto", json.loads(json.dumps(asdict(settled))))
    monkeypatch.setattr(attempting.Search, "attempt", None)
    again = AutoTrainer.fit(data, settled, Options())
    assert describe(again) == describe(arrays)
    for key in arrays:
        np.testing.assert_array_equal(arrays[key], again[key])


def test_vectors_are_served_where_the_chosen_one_has_them(tmp_path: Path) -> None:
    data, config = worlds.two_groups(), make_config("auto", {"candidates": ("als",), "trials": 0})
    arrays = AutoTrainer.fit(data, config, Options())
    model = open_model(write_model(tmp_path, "run-1", "auto", config, arrays, data))
    assert model.index is not None
    rows, _ = model.recommend(Histories.single([0, 2]), 5)
    assert (rows % 2 == 0).all()


@pytest.mark.parametrize(
    "wrong",
    [{"minutes": -1}, {"trials": 1.5}, {"share": 0.9}, {"users": 0}, {"cuts": 0}, {"candidates": ("blend",)},
     {"candidates": ("no_such",)}, {"blend": 2}, {"choice": {"trainer": "auto"}}, {"choice": {"config": {}}},
     {"choice": {"trainer": "als", "config": {"factors": 0}}}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        make_config("auto", wrong)


def test_a_config_survives_json() -> None:
    config = make_config("auto", {**QUICK, "minutes": 3})
    assert make_config("auto", json.loads(json.dumps(asdict(config)))) == config
