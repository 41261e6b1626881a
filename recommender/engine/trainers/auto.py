"""Auto: which trainer suits these events? Learned by trying, within a time.

1. Events are held out: those given for it, or the last in time, or random ones where times say nothing. Where few can
   be asked, those before the last are held out as well, once or twice, and what comes near the best is also learned
   from what precedes them: what is best in one month need not be in the next.
2. Presets (`presets.py`) are fitted on the rest in order of cost and judged by NDCG@10 of the events held out.
3. What time is left goes into the settings of the two best: one or two at a time are changed to other values that their
   configs name ("tune"), and a change is kept where it is better.
4. The best of each family are blended (`blend`), with the fits there are.
5. Of those that are as good as the best, the cheapest is taken, and fitted once more on everything.

As good is what is within a quarter of a percent of the best and, by a paired bootstrap over users, cannot be told from
it; so that a blend of four is not served for what is chance, and next to nothing is given away for being cheap.

The time limits the choice; the last fit takes what it takes. The same seed and data choose the same where the time
is enough for all there is to try; where it is not, what fits into it depends on the machine.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import Cancelled, InvalidConfig, RecommenderError
from recommender.engine.trainers import TRAINERS, Arrays, Options, Query, make_config, search_space, trainer
from recommender.engine.trainers import blend as blending
from recommender.engine.trainers.attempts import KEPT, Entry, OutOfTime, Search, key_of
from recommender.engine.trainers.blend import BlendConfig, BlendTrainer, Part
from recommender.engine.trainers.neighbours import check
from recommender.engine.trainers.parts import Cut, Panel, cut, earlier, mix, rising, settings_of, within
from recommender.engine.trainers.presets import PRESETS

TRYING, TUNING = 0.6, 0.85  # of the time, by when presets and settings have been tried; the blend has the rest
RESERVED = 0.4  # of the time for presets, where one to come learns long
SOME_USE = 1 / 3  # of all epochs, without which there is little
LOOKING = 0.95  # by when parts of the blend have been judged on earlier cuts
LEADERS = 2  # trainers whose settings are searched, where
CONTENDER = 0.9  # of the best figure is what the other reaches
SECOND_CHANGE = 0.35  # how often two settings are changed at once, which gets past what one change at a time cannot


@dataclass(frozen=True)
class AutoConfig:
    minutes: float = 10.0
    """What the choice may take; the fit on everything that follows comes on top."""
    candidates: tuple[str, ...] = ()
    """Presets or trainers to choose among; empty for all presets."""
    trials: int = 40
    """Settings tried at most beyond the presets' own."""
    blend: bool = True
    """Whether a blend of the best is a candidate."""
    share: float = 0.15
    """Of the events (or of each user's items, where times say nothing) held out to judge by, where no events are given
    for it."""
    users: int = 6000
    """Users at most that are asked to judge a candidate."""
    cuts: int = 3
    """Cuts by time at most that candidates are judged on; the earlier ones only as long as fewer than `users` have been
    asked."""
    choice: Mapping[str, Any] = field(default_factory=dict)
    """What was chosen before, as `describe` says it; fitted without choosing again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(self.candidates))  # which JSON has as a list
        object.__setattr__(self, "choice", dict(self.choice))
        check("minutes", self.minutes, 0.0)
        check("trials", self.trials, 0, whole=True)
        check("share", self.share, 0.01, 0.5)
        check("users", self.users, 1, whole=True)
        check("cuts", self.cuts, 1, 10, whole=True)
        if not isinstance(self.blend, bool):
            raise InvalidConfig("blend must be true or false.")
        known = {name for name, preset in PRESETS.items() if preset.trainer in TRAINERS}
        known |= set(TRAINERS) - set(blending.CHOOSERS)
        if strange := sorted(set(self.candidates) - known):
            raise InvalidConfig(f"{', '.join(strange)} is no candidate; there are {', '.join(sorted(known))}.")
        if self.choice:
            if self.choice.get("trainer") not in TRAINERS or self.choice["trainer"] == "auto":
                raise InvalidConfig("choice must name a trainer.")
            make_config(self.choice["trainer"], self.choice.get("config", {}))


class AutoTrainer:
    Config = AutoConfig

    @staticmethod
    def fit(data: Interactions, config: AutoConfig, options: Options) -> Arrays:
        """What the chosen trainer learned, and `choice`: JSON in bytes, see `describe`.

        Raises NoData, and the last candidate's error where none can be fitted.
        """
        options = replace(options, progress=rising(options.progress))
        if config.choice:
            return _with_choice(_learn(data, config.choice, options, 0.0), config.choice)
        rest, judge = cut(data, config.share, config.users, options)
        names = _candidates(config, rest)
        if judge is None:
            return _any(data, names, options)
        last = Cut(rest, judge)
        before = earlier(data, last, config.share, config.users, options, config.cuts - 1)
        search = Search([last, *before], options, 60 * config.minutes)
        _try(search, names)
        if not search.entries:
            if search.failed is not None:
                raise search.failed
            return _any(data, names, options)
        _tune(search, config.trials)
        mixed = _blend(search) if config.blend else None
        return _settle(search, mixed, data)

    @staticmethod
    def query(arrays: Arrays, config: AutoConfig) -> Query:
        choice = describe(arrays)
        return trainer(choice["trainer"]).query(arrays, make_config(choice["trainer"], choice["config"]))

    @staticmethod
    def settled(arrays: Arrays, config: AutoConfig) -> AutoConfig:
        """The settings that fit what was chosen, without choosing again."""
        return replace(config, choice=describe(arrays))

    @staticmethod
    def described(arrays: Arrays) -> dict[str, Any]:
        choice = describe(arrays)
        return {**choice, **BlendTrainer.described(arrays)} if choice["trainer"] == "blend" else choice


def describe(arrays: Arrays) -> dict[str, Any]:
    """What was chosen: `trainer` and `config`; `users` that were asked, over all `cuts`; `tried`, best first: name,
    trainer, config, tuned, ndcg@10, cuts and seconds of each; `left_out`, why, by name."""
    choice: dict[str, Any] = json.loads(bytes(arrays["choice"]))
    return choice


def _candidates(config: AutoConfig, data: Interactions) -> list[str]:
    """In order of cost. Without names given, those that suit the data: what reads order only where there is one."""
    names = [name for name in PRESETS if PRESETS[name].trainer in TRAINERS]
    if config.candidates:
        named = [name for name in config.candidates if name not in PRESETS]
        names = [name for name in names if name in config.candidates] + named
    else:
        names = [name for name in names if PRESETS[name].suits(data)]
    useful = [name for name in names if data.timed or not _reads_order(name, names)]
    return useful or names


def _reads_order(name: str, names: Sequence[str]) -> bool:
    """Whether it has no use where times say nothing, or less than another of its trainer."""
    trainer_name, settings = settings_of(name, {})
    if name in PRESETS and PRESETS[name].sequential:
        return True
    others = [settings_of(other, {}) for other in names]
    same = [make_config(*other) for other in others if other[0] == trainer_name]
    ages = [getattr(one, "half_life_items", 0) for one in same]
    return getattr(make_config(trainer_name, settings), "half_life_items", 0) > min(ages, default=0) == 0


def _try(search: Search, names: Sequence[str]) -> None:
    """All, one after another. What learns in epochs takes the time it gets, so it gets its share of what is left; any
    other takes what it needs, up to half of it. Neither takes what is reserved for a later one with a large share."""
    for number, name in enumerate(names):
        span = (0.5 * number / len(names), 0.5 * (number + 1) / len(names))
        trainer_name, settings = settings_of(name, {})
        config = make_config(trainer_name, settings)
        shares = [PRESETS[other].share if other in PRESETS else 1 for other in names[number:]]
        until = TRYING * (1 - RESERVED) if any(_can_learn(search, other) for other in names[number + 1 :]) else TRYING
        part = shares[0] / sum(shares) if hasattr(config, "epochs") else 0.5
        if number == len(names) - 1 or not search.entries:  # something has to be found
            part, until = 1.0, TRYING
        search.attempt(name, trainer_name, config, span, part * search.left(until))


def _can_learn(search: Search, name: str) -> bool:
    """Whether time should be reserved for it: it learns long, and enough of that for some use would fit."""
    preset = PRESETS.get(name)
    if preset is None or preset.share == 1:
        return False
    needed_s = SOME_USE * preset.settings["epochs"] * preset.epoch_s(search.cuts[0].data)
    return needed_s <= RESERVED * TRYING * search.seconds


def _tune(search: Search, trials: int) -> None:
    """Try changes to the settings of the best, two to the first for each to the second."""
    random = np.random.default_rng(search.options.seed)
    able = [entry for entry in search.families() if search_space(entry.trainer)]
    leaders = [entry.kin for entry in able if search.figure(entry) >= CONTENDER * search.figure(able[0])]
    leaders = leaders[:LEADERS]
    seen = {key_of(entry.trainer, entry.config) for entry in search.entries}
    for trial in range(trials if leaders else 0):
        kin = leaders[-1 if trial % 3 == 2 else 0]
        base = next(entry for entry in search.families() if entry.kin == kin)
        config = next((made for made in _changes(base, random) if key_of(base.trainer, made) not in seen), None)
        left = search.left(TUNING)
        if config is None or left < base.seconds:
            continue
        seen.add(key_of(base.trainer, config))
        span = (0.5 + 0.2 * trial / trials, 0.5 + 0.2 * (trial + 1) / trials)
        search.attempt(base.name, base.trainer, config, span, left, tuned=True)


def _changes(entry: Entry, random: np.random.Generator) -> Iterator[Any]:
    """The entry's settings with one or two others; a hundred draws at most."""
    space = search_space(entry.trainer)
    for _ in range(100):
        count = min(len(space), 2 if random.random() < SECOND_CHANGE else 1)
        names = [list(space)[place] for place in random.choice(len(space), count, replace=False)]
        values = {name: space[name][random.integers(len(space[name]))] for name in names}
        try:
            yield replace(entry.config, **values)
        except InvalidConfig:  # two that do not go together
            continue


def _blend(search: Search) -> Entry | None:
    """A mixture of the best of each family; None where there is nothing to mix, no time, or no gain."""
    entries = [entry for entry in search.families()[:KEPT] if entry.arrays]
    if len(entries) < 2 or search.left(1.0) <= 0:
        return None
    begun = time.monotonic()
    entries = [search.look_again(entry, (0.7, 0.7), search.left(LOOKING)) for entry in entries]
    cuts = entries[0].cuts
    entries = [entry for entry in entries if entry.cuts >= cuts]

    def progress(share: float, message: str) -> None:
        search.options.progress(0.7 + 0.1 * share, f"blend: {message}")
        if search.left(1.0) <= 0:
            raise OutOfTime()

    def panel(number: int) -> Panel:
        queries = [_part(entry, number).query for entry in entries]
        return search.cuts[number].judge.panel(queries, blending.SCALES["linear"], progress)

    try:
        mixture = mix(Panel.joined([panel(number) for number in range(cuts)]), progress)
    except OutOfTime:
        search.options.progress(0.8, "blend: no time for it")
        search.left_out["blend"] = "no time for it"
        return None
    parts = [_part(entry) for entry in entries]
    chosen = [(part, float(weight)) for part, weight in zip(parts, mixture.weights, strict=True) if weight > 0]
    if len(chosen) < 2:
        return None
    made = BlendConfig(
        parts=tuple(part.name for part, _ in chosen),
        configs={part.name: part.config for part, _ in chosen},
        weights=tuple(weight for _, weight in chosen),
    )
    arrays = blending.assemble([part for part, _ in chosen], made.weights, made.method)
    took = time.monotonic() - begun
    return Entry("blend", "blend", made, len(PRESETS) + 1, mixture.values, took, cuts=cuts, arrays=(arrays,))


def _part(entry: Entry, cut: int = 0) -> Part:
    return Part(entry.name, entry.trainer, asdict(entry.config), entry.arrays[cut])


def _settle(search: Search, mixed: Entry | None, data: Interactions) -> Arrays:
    """Fit on everything what was chosen, or the next that can be."""
    order = search.chosen(mixed)
    figures = {id(entry): search.figure(entry) for entry in order}
    tried = [entry.as_json(figures[id(entry)]) for entry in sorted(order, key=lambda entry: -figures[id(entry)])]
    failed: RecommenderError | None = None
    for entry in order:
        facts = {
            "trainer": entry.trainer,
            "config": asdict(entry.config),
            "name": entry.name,
            "ndcg@10": round(figures[id(entry)], 6),
            "users": sum(len(cut.judge) for cut in search.cuts),
            "cuts": len(search.cuts),
            "tried": tried,
            "left_out": search.left_out,
        }
        search.options.progress(0.8, f"{entry.name} is chosen: NDCG@10 {figures[id(entry)]:.4f}")
        if search.cuts[0].data is data and entry.arrays:
            search.options.progress(1.0, f"{entry.name} is kept")
            return _with_choice(entry.arrays[0], facts)
        try:
            return _with_choice(_learn(data, facts, search.options, 0.8), facts)
        except Cancelled:
            raise
        except RecommenderError as error:  # more data, more memory
            failed = error
            search.options.progress(0.8, f"{entry.name} is out: {error.message}")
    raise failed or RecommenderError("No candidate could be fitted.")


def _learn(data: Interactions, choice: Mapping[str, Any], options: Options, low: float) -> Arrays:
    name = str(choice["trainer"])
    kind = trainer(name)
    learned = kind.fit(data, make_config(name, choice["config"]), within(options, low, 1.0, name, "chosen"))
    options.progress(1.0, f"{name}, on everything")
    return learned


def _any(data: Interactions, names: list[str], options: Options) -> Arrays:
    """Where nothing can be compared, the first that can be fitted; popularity, which knows no tastes, last."""
    failed: RecommenderError | None = None
    for name in sorted(names, key=lambda name: name == "popularity"):
        trainer_name, settings = settings_of(name, {})
        facts: dict[str, Any] = {
            "trainer": trainer_name,
            "config": asdict(make_config(trainer_name, settings)),
            "name": name,
            "ndcg@10": None,
            "users": 0,
            "cuts": 0,
            "tried": [],
            "left_out": {},
        }
        try:
            return _with_choice(_learn(data, facts, options, 0.0), facts)
        except Cancelled:
            raise
        except RecommenderError as error:
            failed = error
    raise failed or RecommenderError("There is no candidate.")


def _with_choice(arrays: Arrays, choice: Mapping[str, Any]) -> Arrays:
    return {**arrays, "choice": np.frombuffer(json.dumps(choice).encode(), dtype=np.uint8)}


__all__ = ["AutoConfig", "AutoTrainer", "describe"]
