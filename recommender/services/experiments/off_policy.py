"""What a run would have brought, told by what chance showed before it went live.

Some lists have one place that is drawn by chance, and the chances of all that could have stood there are kept. For each
such place it is asked which of these the candidate run would have put there, given what the visitor had done by then;
where that is what chance drew, the visitor's answer counts, weighed by how unlikely it was.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.db.models import Exists, OuterRef
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.evaluation.off_policy import CLIP, Estimate, ips, mean, snips
from recommender.engine.model import LiveModel, open_model
from recommender.models import Answer, Event, Run
from recommender.services import controls, histories
from recommender.services.errors import RunNotPublishable, UnknownRun
from recommender.services.experiments.outcomes import CLICKS
from recommender.services.serving import candidates

MOST = 2_000  # answers that a page waits for; a few milliseconds each
SETTLED = timedelta(minutes=15)  # how long a click is waited for
LEAST_EFFECTIVE = 30  # fewer say nothing


@dataclass(frozen=True)
class Estimated:
    """The click rate at the place drawn by chance."""

    run_id: int
    answers: int
    """With such a place, that the run could be asked about."""
    matched: int
    """Where chance drew what the run would have put there."""
    left_out: int
    """The run knows nothing that could have stood there."""
    ips: Estimate
    snips: Estimate
    shown: Estimate
    """What was really shown there, by chance."""
    clip: float = CLIP

    @property
    def enough(self) -> bool:
        return self.snips.effective >= LEAST_EFFECTIVE

    @property
    def verdict(self) -> str:
        """better, worse or same than chance by more than both intervals allow; few where too little is known."""
        if not self.enough:
            return "few"
        if self.snips.low > self.shown.high:
            return "better"
        return "worse" if self.snips.high < self.shown.low else "same"


def estimate(run_id: int, most: int = MOST) -> Estimated:
    """Ask a run about the latest places drawn by chance. Raises UnknownRun, RunNotPublishable, ArtifactMissing,
    ArtifactDamaged."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        raise UnknownRun(f"Run {run_id}.")
    if not run.artifact:
        raise RunNotPublishable(f"Run {run.pk} has no model.")
    model = open_model(conf().artifacts_dir / run.artifact)
    clicked = Event.objects.filter(rec_id=OuterRef("rec_id"), kind__in=CLICKS, flag="")
    rows = Answer.objects.filter(explored__isnull=False, at__lt=timezone.now() - SETTLED).exclude(visitor_id="")
    rewards, chances, wanted, groups, left_out = [], [], [], [], 0
    visitors: dict[str, tuple[int, controls.Controls]] = {}
    for answer in rows.annotate(clicked=Exists(clicked)).order_by("-at")[:most].iterator(chunk_size=500):
        drawn = _drawn(answer)
        if drawn is None:
            continue
        if answer.visitor_id not in visitors:
            visitors[answer.visitor_id] = len(visitors), controls.read(answer.visitor_id)
        number, wishes = visitors[answer.visitor_id]
        best = _best(model, answer, wishes)
        if best is None:
            left_out += 1
            continue
        rewards.append(float(answer.clicked and _clicked(answer, drawn)))
        chances.append(min(float(answer.chances[drawn]), 1.0))
        wanted.append(float(best == drawn))
        groups.append(number)
    had, odds, target = np.array(rewards), np.array(chances), np.array(wanted)
    whose = np.array(groups, np.int64)
    return Estimated(
        run.pk,
        len(had),
        int(target.sum()),
        left_out,
        ips(had, odds, target, whose),
        snips(had, odds, target, whose),
        mean(had, whose),
    )


def _drawn(answer: Answer) -> str | None:
    """The item that chance put at the place; None where the row does not hold together."""
    place = (answer.explored or 0) - 1
    if not 0 <= place < len(answer.items):
        return None
    item_id: str = answer.items[place]
    chance = answer.chances.get(item_id)
    return item_id if isinstance(chance, int | float) and chance > 0 else None


def _clicked(answer: Answer, item_id: str) -> bool:
    """Whether it was that item of the answer's."""
    return Event.objects.filter(rec_id=answer.rec_id, kind__in=CLICKS, flag="", item_id=item_id).exists()


def _best(model: LiveModel, answer: Answer, wishes: controls.Controls) -> str | None:
    """What the run puts first among all that could have stood there; None where it knows none of it."""
    could = list(answer.chances)
    rows = model.items.rows(could)
    known = np.flatnonzero(rows != UNKNOWN)
    if not len(known):
        return None
    told = candidates.told(model, histories.read(answer.visitor_id, wishes, answer.at))
    if not candidates.speaks(told):
        scores = np.asarray(model.artifact.arrays["popularity"][rows[known]])
    elif model.query.item_vectors is not None:
        scores = model.query.item_vectors[rows[known]] @ model.query.vectors(told)[0]
    else:
        scores = model.query.scores(told)[0, rows[known]]
    return could[int(known[np.argmax(scores)])]
