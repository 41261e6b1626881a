"""What a visitor may like next, tier by tier: the model with its sources, what is popular with shoppers like them, what
is like what they looked at, popular, new, and a list on disk.

Nothing is precomputed per visitor: the query vector is built from the events of the database at answer time, so the
first click of a guest changes the next page. Redis is not on this path.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from django.db import InterfaceError, OperationalError

from recommender.conf import conf
from recommender.engine.data.interactions import UNKNOWN
from recommender.models import Event
from recommender.services import clusters, controls, histories, newcomers, reasons
from recommender.services import rules as in_force
from recommender.services.content import vectors
from recommender.services.experiments import answers as shown
from recommender.services.experiments import assignment
from recommender.services.filtering import Condition
from recommender.services.rules import Acting
from recommender.services.serving import again, candidates, lists
from recommender.services.serving.answers import Recommendation, Shelf, checked
from recommender.services.serving.choosing import POOL, RULE, Terms, choose, filled
from recommender.services.serving.live_model import Live, live

log = logging.getLogger(__name__)

NAME, TITLE = "for-you", "Picked for you"
SEGMENT_TITLE = "Popular with shoppers like you"
SHORTEST = 4  # places of a list that has one for what chance draws


def recommend(
    visitor_id: str | None,
    n: int = 10,
    *,
    category: str | None = None,
    condition: Condition | None = None,
    exclude: Collection[str] = (),
    past: histories.History | None = None,
    wishes: controls.Controls | None = None,
    current: Live | None = None,
    rules: Sequence[Acting] | None = None,
    note: bool = True,
    stars: bool = False,
) -> Shelf:
    """What this visitor may like next: by the model if it knows anything of theirs, popular items otherwise.

    `past`, `wishes` and `current` are for callers that have them already; `rules` are for trying some out, and are
    those in force otherwise; `note` is off for answers that nobody will see; `stars`: the items come with the mean of
    their reviews. Raises InvalidInput for an `n` that is not from 1 to MAX_RESULTS, as all answers here do.
    """
    n = checked(n)
    try:
        terms = terms_of(visitor_id, NAME, wishes, rules)
        visitor_id = visitor_id if terms.wishes.personalised else None  # else served as a stranger in every respect
        current = current or live(visitor_id)
        past = histories.read(visitor_id, terms.wishes) if past is None else past
        out = {*exclude, *past.disliked, *_seen(past, terms)}
        terms = replace(terms, category=category, condition=condition, exclude=out, stars=stars)
        shelf, chances = _by_tiers(current, past, n, terms)
        assigned = assignment.of(visitor_id)
        if assigned is not None:
            shelf = replace(shelf, variant=f"{assigned.experiment}/{assigned.variant}")
        if note:
            noted(visitor_id, shelf, terms.wishes, chances)
        return shelf
    except (OperationalError, InterfaceError):
        log.exception("The database cannot be read; the list on disk serves, if there is one.")
        if shelf := lists.on_disk(n, category=category, exclude=exclude):
            return shelf
        raise


def noted(
    visitor_id: str | None, shelf: Shelf, wishes: controls.Controls, chances: Mapping[str, float] | None = None
) -> Shelf:
    """The shelf, of which is written down that it was shown; without a name where nothing personal is wanted, not at
    all in private mode."""
    if shelf and wishes.private_since is None:
        drawn = next((entry.position for entry in shelf.entries if entry.chance is not None), None)
        whose = visitor_id if wishes.personalised else None
        assigned = assignment.of(whose)
        shown.note(shelf, whose, assigned.variant_id if assigned else None, chances or {}, drawn)
    return shelf


def terms_of(
    visitor_id: str | None,
    shelf: str = NAME,
    wishes: controls.Controls | None = None,
    acting: Sequence[Acting] | None = None,
) -> Terms:
    """What holds for this visitor's answers: their wishes, the shop's rules, the experiment they take part in."""
    wishes = controls.read(visitor_id) if wishes is None else wishes
    assigned = assignment.of(visitor_id if wishes.personalised else None)
    settings = conf().served
    if assigned is not None and assigned.settings:
        settings = replace(settings, **assigned.settings)
    if acting is None:
        acting = in_force.acting(shelf) if assigned is None or assigned.rules else ()
    return Terms(wishes=wishes, acting=acting, settings=settings)


def _seen(past: histories.History, terms: Terms) -> set[str]:
    """What the visitor knows already, but for what is bought again and again."""
    bought = {item_id for item_id, kind in zip(past.item_ids, past.kinds, strict=True) if kind == Event.Kind.PURCHASE}
    if not bought:
        return past.known
    return past.known - (again.bought_again(bought) if terms.settings.bought_once else bought)


def _by_tiers(current: Live, past: histories.History, n: int, terms: Terms) -> tuple[Shelf, Mapping[str, float]]:
    if past and current.model is not None:
        try:
            shelf, chances = _by_model(current, past, n, terms)
            if shelf:
                return shelf, chances
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("The model of run %s failed; other tiers serve instead.", current.run_id)
        if shelf := _by_segment(current, past, n, terms):
            return shelf, {}
    if past and (shelf := _by_content(past, n, terms)):
        return shelf, {}
    return lists.popular(n, category=terms.category, exclude=terms.exclude, current=current, terms=terms), {}


def _by_model(current: Live, past: histories.History, n: int, terms: Terms) -> tuple[Shelf | None, Mapping[str, float]]:
    model = current.model
    assert model is not None
    known = candidates.told(model, past)
    if not candidates.speaks(known):
        return None, {}
    tier, found = candidates.gather(model, past, known, n, terms)
    if not tier:
        return None, {}
    shelf = Shelf(NAME, TITLE, tier, current.run_id, [])
    rng = np.random.default_rng(shelf.rec_id.int) if n >= SHORTEST and terms.settings.explore else None
    if rng is not None and rng.random() >= terms.settings.explore:
        rng = None
    chosen = choose(found, n, terms, mixed=True, rng=rng)
    if not chosen.entries:
        return None, {}
    said = reasons.of_page(model, [entry.item.pk for entry in chosen.entries], chosen.causes, chosen.titles, past)
    for entry, reason in zip(chosen.entries, said, strict=True):  # `replace` takes longer than all the rest of it
        shelf.entries.append(
            Recommendation(
                entry.item,
                entry.position,
                entry.score,
                reasons.CHOSEN if entry.source == RULE else reason,
                entry.source,
                entry.rules,
                entry.chance,
            )
        )
    return shelf, chosen.chances


def _by_segment(current: Live, past: histories.History, n: int, terms: Terms) -> Shelf | None:
    """What is popular in the visitor's group of shoppers; None where the run knows no groups or cannot tell theirs."""
    assert current.model is not None
    try:
        groups = clusters.of(current.model)
        segment = None if groups is None else groups.segment(candidates.told(current.model, past))
        if groups is None or segment is None:
            return None
        rows = np.asarray(groups.favourites[segment])
        rows = rows[rows != UNKNOWN]
        takers = groups.takers[segment, : len(rows)].tolist()
        item_ids = current.model.items.ids(rows)
        entries = filled(item_ids, takers, n, terms.exclude, SEGMENT_TITLE, terms.category, terms)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("The groups of run %s cannot be used; popular items serve instead.", current.run_id)
        return None
    return Shelf("segment", SEGMENT_TITLE, "segment", current.run_id, entries) if entries else None


def _by_content(past: histories.History, n: int, terms: Terms) -> Shelf | None:
    """What is like the items of a history that no model knows, by what they say of themselves; None where nothing is
    known of those either."""
    try:
        space = vectors.space("fused")
        wide = POOL if terms.category or terms.condition else 1
        found, cosines, nearest = newcomers.like_history(past, n * POOL * wide, terms.exclude, space)
        entries = filled(found, cosines.tolist(), n, terms.exclude, "", terms.category, terms)
        near = [nearest.get(entry.item.pk) for entry in entries]  # none for what a rule brought in
        said = iter(
            reasons.sentences([item_id for item_id in near if item_id], past, "Close to {title} that you {verb}")
        )
        because = [next(said) if item_id else reasons.CHOSEN for item_id in near]
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("The vectors of the catalogue failed; popular items serve instead.")
        return None
    told: list[Recommendation] = [replace(entry, reason=reason) for entry, reason in zip(entries, because, strict=True)]
    return Shelf(NAME, TITLE, "content", None, told) if told else None
