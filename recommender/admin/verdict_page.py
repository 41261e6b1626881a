"""What a verdict's page shows, from its case."""

from typing import Any

from recommender.admin import verdict_charts
from recommender.admin.verdict_list import item_link, kind_badge, label, reasons, state_badge, subject_link, sure_bar
from recommender.models import Verdict
from recommender.services.screening import cases, consequences, similar, verdicts

EFFECTS = ("confirm", "quarantine", "release")
MEANING = {
    Verdict.State.OPEN: "Nobody has decided. Until then its events count less in a training, the less the surer.",
    Verdict.State.QUARANTINED: "Its events are left out of the next training until somebody decides otherwise.",
    Verdict.State.CONFIRMED: "Its events are left out of what is learned. They are kept; released, they count again.",
    Verdict.State.RELEASED: "Its events count in full, however often it is found again.",
    Verdict.State.LAPSED: "It was found before and no longer is: its events count in full.",
}
ACCESS_MEANING = "Access has no events that would be learned from: deciding keeps the record and ends the alerts."


def context(verdict: Verdict) -> dict[str, Any]:
    case = cases.story(verdict)
    before, after = verdicts.next_waiting(verdict)
    trail = list(verdicts.history(verdict)[:50])
    latest = trail[0] if trail else None
    effects = [one for one in (consequences.of([verdict.pk], action) for action in EFFECTS) if one.changing]
    access = verdict.subject == Verdict.Subject.ACCESS
    return {
        "title": f"{label(verdict.kind)}: {verdict.get_subject_display()} {verdict.subject_id}"[:120],
        "verdict": verdict,
        "case": case,
        "kind": kind_badge(verdict.kind),
        "state": state_badge(verdict),
        "meaning": ACCESS_MEANING if access else MEANING[Verdict.State(verdict.state)],
        "subject": subject_link(verdict),
        "sure": sure_bar(verdict.probability),
        "reasons": reasons(verdict),
        "timeline": verdict_charts.timeline(case.timeline),
        "beat": verdict_charts.beat(case.moments),
        "strips": verdict_charts.strips(case.evidence.figures),
        "targets": [(item_link(one.item_id, one.item.title if one.item else None), one) for one in case.targets],
        "columns": [item_link(item_id, item.title if item else None) for item_id, item in case.grid_items],
        "similar": [
            (one, kind_badge(one.verdict.kind), subject_link(one.verdict), state_badge(one.verdict))
            for one in similar.similar(verdict)
        ],
        "trail": trail,
        "undoable": latest.batch if latest and latest.before and latest.by_id else None,
        "effects": [(one.action, " ".join(lines(one))) for one in effects],
        "movers": next((one.learned for one in effects if one.learned and one.learned.items), None),
        "previous": before,
        "next": after,
    }


def lines(effect: consequences.Consequences) -> list[str]:
    """What a decision would do, in sentences."""
    if effect.learned is None:
        return ["Nothing changes: it is so already." if effect.already else "Nothing changes: they are gone."]
    learned, said = effect.learned, []
    for count, becomes in (
        (learned.left_out, "left out from the next training on, not deleted"),
        (learned.restored, "learned from in full again from the next training on"),
    ):
        if count:
            of = f" of {_many(learned.visitors, 'visitor')}" if learned.visitors > 1 else ""
            said.append(f"{_many(count, 'event')}{of} {_is(count)} {becomes}.")
    if not said:
        said.append("What is learned stays as it is.")
    if not learned.whole:
        said.append("More is concerned than could be looked at here.")
    if effect.reviews:
        becomes = "no longer shown" if effect.action == "confirm" else "shown again"
        said.append(f"{_many(effect.reviews, 'review')} {_is(effect.reviews)} {becomes} in the shop.")
    if effect.orders:
        becomes = "held back" if effect.action == "confirm" else "let go"
        said.append(f"{_many(effect.orders, 'order')} {_is(effect.orders)} {becomes}.")
    if effect.already:
        said.append(f"{effect.already:,} {_is(effect.already)} so already and {_stay(effect.already)} so.")
    if effect.missing:
        said.append(f"{effect.missing:,} {_is(effect.missing)} gone meanwhile.")
    return said


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _stay(count: int) -> str:
    return "stays" if count == 1 else "stay"
