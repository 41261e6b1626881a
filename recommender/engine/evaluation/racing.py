"""How several searches share the time: successive halving (Jamieson and Talwalkar 2016, algorithm 1).

Each trainer's base is tried first, in half of the time at most. Then come rounds of equal length, each shared equally
by the searches still in the race; after a round the worse half of them, by the best that each has found, is out. What a
search leaves of its time because nothing is left to try, or because no trial would fit into it, goes to those after it.
"""

import time
from collections.abc import Callable, Sequence
from math import ceil, inf, log2

from recommender.engine.errors import Cancelled, RecommenderError
from recommender.engine.evaluation.tuning import Search

BASES_SHARE = 0.5  # of the time, for the first trial of every trainer


def race(
    searches: Sequence[Search],
    *,
    seconds: float | None = None,
    fits: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, str]:
    """Run them within `seconds` in all and `fits` trials each, of which one that drops out early gets fewer.

    The first search's base is tried to its end however long it takes; another's is abandoned where it takes more than
    an equal share of half the time. Returns, by trainer, why it could not take part. Where there is only one search,
    what goes wrong is raised. Raises ValueError where neither seconds nor fits set an end.
    """
    if seconds is None and fits is None:
        raise ValueError("A race needs an end: seconds, fits, or both.")
    end = inf if seconds is None else clock() + seconds
    if len(searches) == 1:
        searches[0].run(fits, hard=end)
        return {}
    out: dict[str, str] = {}

    def run(search: Search, most: int | None, soft: float, hard: float, base_finishes: bool = False) -> None:
        try:
            search.run(most, soft=soft, hard=hard, base_finishes=base_finishes)
        except Cancelled:
            raise
        except (RecommenderError, ImportError) as error:  # a package that this machine lacks is one trainer's trouble
            out[search.trainer] = str(error)

    share_s = inf if seconds is None else BASES_SHARE * seconds / len(searches)
    for place, search in enumerate(searches):
        if not search.begun:
            run(search, 1, inf, min(end, clock() + share_s), base_finishes=place == 0)
        if search.best is None and search.trainer not in out:
            slow = f"Its first trial takes longer than {share_s:.0f} s, its share of the time; give more."
            out[search.trainer] = "Its first settings failed." if search.begun else slow

    left = [search for search in searches if search.trainer not in out]
    rounds = max(1, ceil(log2(max(len(left), 1))))
    for number in range(rounds):
        round_s = (end - clock()) / (rounds - number)
        round_end = clock() + round_s
        most = None if fits is None else ceil(fits * (number + 1) / rounds)
        for place, search in enumerate(left):
            run(search, most, clock() + (round_end - clock()) / (len(left) - place), end)
        left = [search for search in left if search.trainer not in out]
        left.sort(key=lambda search: -(search.best.value if search.best else -inf))
        left = left[: ceil(len(left) / 2)]
    for search in left:
        run(search, fits, end, end)
    return out
