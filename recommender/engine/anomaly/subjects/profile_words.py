"""Why a profile is suspicious, in sentences for the shop's staff, each with the usual value beside its own."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.subjects import profile_crowds
from recommender.engine.anomaly.subjects.profile_cells import Cells
from recommender.engine.anomaly.subjects.profile_rounds import Judged
from recommender.engine.anomaly.subjects.profile_verdicts import PUMP, SCRAPER, Verdicts

MOST = 5
TELLING = 2.0  # standard deviations
DAY_S = 86_400
# By feature: a value above what is usual, and one below; empty where that side is not told.
SENTENCES = {
    "coherence": ("", "Its items have little to do with each other: others rarely take them together."),
    "strange": ("Its items have little to do with each other: others rarely take them together.", ""),
    "fame": (
        "Takes almost only items that everybody knows.",
        "Takes unusually many items that hardly anybody else takes ({own:.0f} visitors each, usually {usual:.0f}).",
    ),
    "liking": ("", "Its stars do not go together: who likes one of these items usually does not judge the others so."),
    "deviation": ("Its stars are {own:.1f} away from the items' averages, usually {usual:.1f}.", ""),
    "deviation_signed": ("Praises {own:+.1f} stars beyond the average, usually {usual:+.1f}.",
                         "Stays {own:+.1f} stars from the average, usually {usual:+.1f}."),
    "fives": ("Gave 5 stars in {own:.0%} of its ratings, usually {usual:.0%}.", ""),
    "ones": ("Gave 1 star in {own:.0%} of its ratings, usually {usual:.0%}.", ""),
    "stars_spread": ("", "Gives almost always the same stars."),
    "span": ("", "Everything happened within {own:.1f} days; others are here for {usual:.0f} days."),
    "deeds_a_visit": ("Did {own:.0f} things in a visit, usually {usual:.0f}.", ""),
    "unevenness": ("", "Goes from item to item at a strangely even pace."),
}  # fmt: skip
SHOWN = dict.fromkeys(
    ("items", "fame", "fame_low", "fame_high", "span", "visits", "deeds_a_visit", "pace", "most_deeds", "partners"),
    np.expm1,
) | {"rdma": np.exp, "wdma": np.exp}  # what logs are told as
NAMES = {
    "fame": "takers_of_its_items",
    "fame_low": "takers_of_its_rare_items",
    "fame_high": "takers_of_its_known_items",
    "fame_spread": "spread_of_their_fame",
    "coherence": "how_well_its_items_go_together",
    "strange": "how_strange_its_items_are_together",
    "strange_spread": "spread_of_that_strangeness",
    "liking": "how_well_its_stars_go_together",
    "fives": "share_of_5_stars",
    "ones": "share_of_1_star",
    "stars_spread": "spread_of_its_stars",
    "stars_entropy": "variety_of_its_stars",
    "deviation": "stars_away_from_the_average",
    "deviation_signed": "stars_above_the_average",
    "rdma": "deviation_weighed_by_rarity",
    "wdma": "deviation_weighed_more_by_rarity",
    "span": "days_from_first_to_last",
    "deeds_a_visit": "events_a_visit",
    "deeds_each": "events_on_an_item",
    "most_deeds": "most_events_on_one_item",
    "pace": "pause_between_events_s",
    "unevenness": "unevenness_of_its_pauses",
    "like_a_decoy": "likeness_to_made_up_fakes",
    "unlike_others": "unlikeness_to_other_visitors",
    "crowd": "suspicion_of_its_crowd",
    "second_crowd": "suspicion_of_its_second_crowd",
    "partners": "others_in_the_same_bursts",
}
"""By feature that its own name does not explain: a name for people, in which an underscore is a space."""


def reasons(cells: Cells, judged: Judged, verdicts: Verdicts, rows: NDArray[np.int64]) -> dict[int, list[str]]:
    """By row: up to MOST sentences, the weightiest first."""
    count = len(verdicts.probabilities)
    side = profile_crowds.sides(cells)
    starts = np.cumsum(cells.sizes) - cells.sizes
    usual = {name: float(np.nanmedian(column[:count])) if np.isfinite(column[:count]).any() else np.nan
             for name, column in judged.measured.columns.items()}  # fmt: skip
    members = _of_groups(verdicts)
    found = {}
    for row in rows.tolist():  # the suspicious few
        mine = np.arange(starts[row], starts[row] + cells.sizes[row])
        told = _together(cells, side, mine, verdicts, row, members)
        if verdicts.kinds[row] == SCRAPER:
            pace = float(np.expm1(judged.measured.columns["pace"][row]))
            told.append(
                f"Went through {len(mine)} items at an even pace of {pace:.0f} seconds each, like a clock; "
                "people's pauses differ."
            )
        told += _own(judged, usual, row)
        found[row] = told[:MOST] or ["Differs from other visitors in several small things at once."]
    return found


def plain(columns: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """The same figures under names for people, logs undone."""
    same: Callable[[Any], Any] = np.asarray
    return {NAMES.get(name, name): SHOWN.get(name, same)(column) for name, column in columns.items()}


def _of_groups(verdicts: Verdicts) -> dict[int, NDArray[np.int64]]:
    grouped = np.flatnonzero(verdicts.groups >= 0)
    order = grouped[np.argsort(verdicts.groups[grouped], kind="stable")]
    labels, firsts = np.unique(verdicts.groups[order], return_index=True)
    return dict(zip(labels.tolist(), np.split(order, firsts[1:]), strict=True)) if len(order) else {}


def _together(
    cells: Cells,
    side: NDArray[np.int64],
    mine: NDArray[np.int64],
    verdicts: Verdicts,
    row: int,
    members: dict[int, NDArray[np.int64]],
) -> list[str]:
    targets = verdicts.targets.get(row, [])
    cells_of = mine[np.isin(cells.item_rows[mine], targets)]
    kind = verdicts.kinds[row]
    if not len(cells_of) or kind == SCRAPER:
        return []
    if kind == PUMP:
        most = int(cells.deeds[cells_of].max())
        usual = float(np.median(cells.deeds))
        told = [f"Came back {most} times to the same item and bought nothing; usual are {usual:.0f} or fewer."]
        if verdicts.company[row]:
            count = int(verdicts.company[row])
            told.append(f"{count} {'others keep' if count > 1 else 'other keeps'} coming back to the same items.")
        return told
    others = members.get(int(verdicts.groups[row]), np.array([row]))
    others = others[others != row]
    what = {profile_crowds.PRAISE: "Praised", profile_crowds.BLAME: "Ran down", profile_crowds.TAKEN: "Took"}[
        int(side[cells_of[0]] % 3)
    ]
    items = f"the same {len(cells_of)} items" if len(cells_of) > 1 else "the same item"
    if not len(others):
        return []
    text = f"{what} {items} as {len(others)} other suspicious {'visitors' if len(others) > 1 else 'visitor'}"
    if cells.timed:
        same = np.isin(cells.visitor_rows, others) & (cells.item_rows == cells.item_rows[cells_of[0]])
        times = np.append(cells.times[same], cells.times[cells_of[0]])
        near = np.quantile(np.abs(times - np.median(times)), 0.8) * 2 / DAY_S
        if near < 90:
            text += f", most within {max(near, 1):.0f} {'days' if near >= 1.5 else 'day'}"
    honest = int((side == side[cells_of[0]]).sum())
    return [f"{text}; {'few others did' if len(others) * 2 > honest else 'far more at once than usual'}."]


def _own(judged: Judged, usual: dict[str, float], row: int) -> list[str]:
    told, seen = [], set()
    z = judged.z[row]
    for place in np.argsort(-np.abs(z)).tolist():
        name = judged.names[place]
        if abs(z[place]) < TELLING or name not in SENTENCES:
            continue
        text = SENTENCES[name][0 if z[place] > 0 else 1]
        own, middle = float(judged.measured.columns[name][row]), usual[name]
        if not text or text[:20] in seen or not np.isfinite(own):
            continue
        seen.add(text[:20])
        shown = SHOWN.get(name, float)
        told.append(text.format(own=shown(own), usual=shown(middle)))
    return told
