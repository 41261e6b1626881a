"""What reviews say: whether their words praise, what they praise and what they fault.

Learned in a worker from the shop's own starred reviews, over the vectors of their texts and their words; what is found
is stored on each review, so that pages only read. Where nothing was learned yet, stars speak for the words.
"""

import logging
import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Q
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine import artifact
from recommender.engine.errors import RecommenderError
from recommender.engine.opinion import aspects, sentiment
from recommender.engine.options import Progress, no_progress
from recommender.models import Item, Review
from recommender.services.content import vectors

log = logging.getLogger(__name__)

PREFIX, KEPT = "opinions-", 2  # artifacts of this name that stay
MOST = 30_000  # reviews learned from, the latest
LEARN_AGAIN = 1.2  # times the reviews that were learned from
BATCH = 500  # reviews judged and stored at once
FOLDS = 3  # what judges a review did not learn from those whose number leaves the same remainder
LIKED, DISLIKED = 4, 2  # stars from which, and to which, words are taken to praise or to fault
PRAISE, BLAME = 0.7, 0.3  # how sure a sentence must be, after its stars were heard, to be quoted
STAR = 0.5  # log odds that each star above or below three adds to a sentence's
SURE = 0.85  # of words that contradict the stars
SHOWN = 4  # points of each kind on a page
FEWEST = 3  # reviews with words that an opinion is summed up from
READ = 500  # latest reviews of an item that are


@dataclass(frozen=True)
class Point:
    """One thing that reviews praise or fault, in the words of one of them."""

    about: str
    words: str
    review_id: int
    place: int
    """Of that review among those shown, from 0, the latest first."""
    reviews: int
    """How many speak of it so."""


@dataclass(frozen=True)
class Opinion:
    """What an item's reviews say together."""

    count: int = 0
    """Reviews with words that are shown."""
    praise: int = 0
    mixed: int = 0
    blame: int = 0
    pros: list[Point] = field(default_factory=list)
    cons: list[Point] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        return self.count >= FEWEST

    @property
    def shares(self) -> list[tuple[str, int]]:
        return [("praise", self.praise), ("mixed", self.mixed), ("fault", self.blame)]


# What pages read


def of(item: Item) -> Opinion:
    """From what is stored on the item's latest reviews; those hidden or held have no say."""
    rows = Review.objects.filter(item=item, hidden=False, held="").values_list(
        "pk", "stars", "sentiment", "points", "body"
    )
    own = set(item.title.casefold().split())
    counts = {"praise": 0, "mixed": 0, "blame": 0}
    said: dict[bool, dict[str, list[tuple[float, str, int, int]]]] = {True: {}, False: {}}
    for place, (pk, stars, sure, points, body) in enumerate(rows[:READ]):
        if not body:
            continue
        counts[_kind(stars, sure)] += 1
        for point in points:
            if point["about"].casefold() in own:  # the item's name is no part of it
                continue
            heard = _heard(float(point["praise"]), stars)
            if heard >= PRAISE or heard <= BLAME:
                good = heard >= PRAISE
                how = heard if good else 1 - heard
                said[good].setdefault(point["about"], []).append((how, point["words"], pk, place))
    return Opinion(sum(counts.values()), **counts, pros=_points(said[True]), cons=_points(said[False]))


def disagreeing() -> Q:
    """The reviews whose words contradict their stars."""
    return Q(stars__gte=LIKED, sentiment__lte=1 - SURE) | Q(stars__lte=DISLIKED, sentiment__gte=SURE)


def _kind(stars: int, sure: float | None) -> str:
    if sure is None:
        return "praise" if stars >= LIKED else "blame" if stars <= DISLIKED else "mixed"
    return "praise" if sure >= 2 / 3 else "blame" if sure <= 1 / 3 else "mixed"


def _heard(praise: float, stars: int) -> float:
    """A sentence's probability once its review's stars were heard too."""
    sure = min(max(praise, 1e-4), 1 - 1e-4)
    return 1 / (1 + math.exp(-(math.log(sure / (1 - sure)) + STAR * (stars - 3))))


def _points(said: dict[str, list[tuple[float, str, int, int]]]) -> list[Point]:
    """The most often named first; each in the words that say it most surely."""
    found = []
    for about, voices in said.items():
        how, words, pk, place = max(voices, key=lambda voice: (round(voice[0], 2), -len(voice[1])))
        found.append((len({voice[2] for voice in voices}), how, Point(about, words, pk, place, 0)))
    found.sort(key=lambda one: (-one[0], -one[1], one[2].about))
    seen: set[str] = set()
    shown = []
    for count, _, point in found:
        if point.words not in seen:
            seen.add(point.words)
            shown.append(Point(point.about, point.words, point.review_id, point.place, count))
    return shown[:SHOWN]


# What workers do


def learn(progress: Progress = no_progress, always: bool = False) -> str | None:
    """Learn from the shop's reviews where it is worth it; the new artifact's name, or None.

    It is where nothing was learned yet, where texts are encoded by another encoder than then, and where there are a
    fifth more reviews. Raises Cancelled as `progress` does.
    """
    told = Review.objects.filter(hidden=False, held="").exclude(body="")
    count, live = told.count(), _live()
    if live is not None and not always:
        same = live.manifest["encoder"] == _encoder_name()
        if same and count < LEARN_AGAIN * live.manifest["reviews"]:
            return None
    rows = list(told.order_by("-created_at", "pk").values_list("title", "body", "stars", "item_id", "pk")[:MOST])
    texts = [_text(title, body) for title, body, *_ in rows]
    praise = np.array([1.0 if row[2] >= LIKED else 0.0 if row[2] <= DISLIKED else 0.5 for row in rows])
    folds = np.array([row[4] % FOLDS for row in rows], dtype=np.int64)
    others = [praise[folds != fold] for fold in range(FOLDS)]
    if min(np.count_nonzero(each == kind) for each in others for kind in (0, 1)) < sentiment.FEWEST:
        return None
    found = sentiment.fit_folds(texts, _encoded(texts, progress), praise, folds)
    makers = {word.casefold() for name in Item.objects.values_list("creator", flat=True) for word in name.split()}
    manifest = {
        "encoder": _encoder_name(),
        "reviews": count,
        "learned_at": timezone.now().isoformat(),
        "aspects": aspects.find([row[1] for row in rows], [row[3] for row in rows], makers),
        "metrics": found.facts,
    }
    name = f"{PREFIX}{_number(_names()[-1]) + 1 if _names() else 1:06d}"
    try:
        artifact.write(conf().artifacts_dir, name, found.arrays, manifest)
    except FileExistsError:  # another worker was faster
        return None
    for old in _names()[:-KEPT]:
        shutil.rmtree(conf().artifacts_dir / old, ignore_errors=True)
    return name


def judge_new(progress: Progress = no_progress) -> int:
    """Judge the reviews that were written or changed, or judged by what was learned before; how many were.

    None are where nothing was learned, or where texts are encoded by another encoder than then: learn first.
    """
    live = _live()
    if live is None or live.manifest["encoder"] != _encoder_name():
        return 0
    learned_at = datetime.fromisoformat(live.manifest["learned_at"])
    waiting = Review.objects.exclude(body="").filter(Q(sentiment_at=None) | Q(sentiment_at__lt=learned_at))
    total, done = waiting.count(), 0
    while rows := list(waiting.only("pk", "title", "body")[:BATCH]):
        _judge(live, rows)
        done += len(rows)
        progress(min(1.0, done / max(1, total)), f"judged {done:,} of {total:,} reviews")
    return done


def described() -> dict[str, Any]:
    """What was learned, for staff: from how many reviews, when, and how well it judges what it did not learn from;
    empty for nothing."""
    live = _live()
    return {} if live is None else {key: live.manifest[key] for key in ("reviews", "learned_at", "encoder", "metrics")}


def _judge(live: artifact.Artifact, rows: Sequence[Review]) -> None:
    split = [aspects.read(row.body, live.manifest["aspects"]) for row in rows]
    whole = [_text(row.title, row.body) for row in rows]
    asked = [(text, row.pk % FOLDS) for row, text in zip(rows, whole, strict=True)]
    asked += [(one.words, row.pk % FOLDS) for row, each in zip(rows, split, strict=True) for one in each if one.about]
    distinct = list(dict.fromkeys(text for text, _ in asked))
    place = {text: at for at, text in enumerate(distinct)}
    encoded = _encoded(distinct)[[place[text] for text, _ in asked]]
    found = sentiment.judge_folds(
        live.arrays, [text for text, _ in asked], encoded, np.array([fold for _, fold in asked])
    )
    sure = dict(zip(asked, found.round(4).tolist(), strict=True))
    now = timezone.now()
    for row, text, each in zip(rows, whole, split, strict=True):
        fold = row.pk % FOLDS
        points = [
            {"about": one.about, "words": one.words, "praise": sure[one.words, fold]} for one in each if one.about
        ]
        # Only where the words are still those that were judged.
        same = Review.objects.filter(pk=row.pk, title=row.title, body=row.body)
        same.update(sentiment=sure[text, fold], points=points, sentiment_at=now)


def _text(title: str, body: str) -> str:
    return f"{title}. {body}" if title else body


def _encoder_name() -> str:
    space = vectors.space("text")
    return "" if space is None or space.encoder is None else space.encoder_name


def _encoded(texts: Sequence[str], progress: Progress = no_progress) -> NDArray[np.float32]:
    """(B, D); D is 0 where the shop encodes no texts."""
    space = vectors.space("text")
    if space is None or space.encoder is None:
        return np.zeros((len(texts), 0), dtype=np.float32)
    parts = []
    for at in range(0, len(texts), BATCH):
        progress(at / len(texts), f"read {at:,} of {len(texts):,} reviews")
        parts.append(space.encode(texts[at : at + BATCH]))
    return np.concatenate(parts) if parts else np.zeros((0, space.dimension), dtype=np.float32)


def _live() -> artifact.Artifact | None:
    """The newest artifact that can be opened."""
    for name in reversed(_names()):
        try:
            return artifact.open_artifact(conf().artifacts_dir / name)
        except (RecommenderError, OSError):
            log.exception("%s cannot be opened.", name)
    return None


def _names() -> list[str]:
    return _sorted(path.name for path in conf().artifacts_dir.glob(f"{PREFIX}*"))


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if name.removeprefix(PREFIX).isdigit()), key=_number)


def _number(name: str) -> int:
    return int(name.removeprefix(PREFIX))
