"""Encodings: what items say, show and sound like; the jobs that make vectors of it, and what they could not read."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender import tasks
from recommender.admin import charts
from recommender.admin.jobs import JobAdmin
from recommender.admin.lists import SteadyList
from recommender.admin.readonly import CappedPaginator, ReadOnly
from recommender.models import Encoding
from recommender.services import console
from recommender.services.content import content_state, encoding, fine_tuning
from recommender.services.errors import EncodingActive, InvalidInput

SHOWN_REFUSED = 100  # on an encoding's page; the page of all that are refused has the others
PER_PAGE = 100
NO_BROKER = (
    "The broker (Redis) does not answer. Encoding {} is queued and waits: a worker is called once the broker is back."
)

ASKED = {
    "changed": (
        "Encode what changed?",
        "Encode",
        ["Every item is compared with what was encoded; what changed is encoded."],
    ),
    "everything": (
        "Encode everything again?",
        "Encode",
        [
            "Encoders that learn from the catalogue learn anew, and every item is encoded again.",
            "What serves now goes on serving until it is done.",
        ],
    ),
    "tune": (
        "Fine-tune {}?",
        "Fine-tune",
        [
            "The encoder learns from what shoppers take together; that takes a while. Then all is encoded again.",
            "Where nothing is gained among items that it did not learn from, it stays as it was.",
        ],
    ),
}
"""What each button asks: title, label, lines."""
REASONS = {"changed": "what changed", "everything": "everything again", "tune": "fine-tuning: {}"}


@admin.register(Encoding)
class EncodingAdmin(ReadOnly, JobAdmin, SteadyList):
    change_list_template = "admin/recommender/encoding/change_list.html"
    list_display = ["number", "state", "what", "asked_by", "started"]
    list_filter = ["status"]
    search_fields = ["id__exact", "requested_by", "reason"]
    ordering = ["-id"]
    list_per_page = 30

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("encode/", self.encode_view, "recommender_encoding_encode"),
            ("refused/", self.refused_view, "recommender_encoding_refused"),
            ("<int:encoding_id>/progress/", self.progress_view, "recommender_encoding_progress"),
            ("<int:encoding_id>/cancel/", self.cancel_view, "recommender_encoding_cancel"),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return own + super().get_urls()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Encoding]:
        return super().get_queryset(request).defer("refused")

    @admin.display(description="Encoding", ordering="id")
    def number(self, row: Encoding) -> str:
        return str(row.pk)

    @admin.display(description="Items")
    def what(self, row: Encoding) -> str | SafeString:
        said = [_counted(modality, count) for modality, count in row.counts.items()]
        return format_html("{}", "; ".join(said)) if said else "–"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Encodings", "content": content_state.state(), "tunable": fine_tuning.tunable()}
        context |= extra_context or {}
        return super().changelist_view(request, context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The encoding's page. There is nothing to edit, so it is drawn instead of a form."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            messages.warning(request, f"There is no encoding {unquote(object_id)[:20]}.")
            return HttpResponseRedirect(_list())
        counts = list(row.counts.items())
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Encoding {row.pk}",
            "original": row,
            "encoding": row,
            "progress": console.progress(row),
            "stage_bars": charts.stage_bars(row.stages),
            "counted": [{"label": content_state.LABELS[m], "modality": m, **_named(one)} for m, one in counts],
            "encoders": [{"label": content_state.LABELS[m], **one} for m, one in row.encoders.items()],
            "refused": row.refused[:SHOWN_REFUSED],
            "refused_in_all": sum(one.get("refused", 0) for _, one in counts),
            "tuned": _tuned(row.report.get("tuned")),
            "fusion": _fusion(row.report.get("fusion")),
            "can_change": request.user.has_perm("recommender.change_encoding"),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/encoding/page.html", context)

    def progress_view(self, request: HttpRequest, encoding_id: int) -> HttpResponse:
        return self.told_progress(request, get_object_or_404(Encoding, pk=encoding_id))

    def encode_view(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("recommender.add_encoding"):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET
        everything, tune = asked.get("everything") == "1", asked.get("tune", "")
        kind = "everything" if everything else "tune" if tune else "changed"
        if request.method != "POST":
            title, label, lines = ASKED[kind]
            hidden = {name: value for name, value in (("everything", "1"), ("tune", tune)) if name == kind}
            return self.ask_first(request, title.format(tune), label, lines, _list(), hidden=hidden)
        answers: list[bool] = []
        try:
            with transaction.atomic():
                by, reason = request.user.get_username(), REASONS[kind].format(tune)
                row = encoding.request(everything, tune=tune, requested_by=by, reason=reason)
                self.log_addition(request, row, "Asked for an encoding.")
                # Only once the row is committed can a worker find it.
                transaction.on_commit(lambda: answers.append(tasks.wake_encoding(row.pk)))
        except EncodingActive as error:
            number = error.context["encoding_id"]
            link = format_html('{} <a href="{}">Open encoding {}.</a>', error.message, _page(number), number)
            messages.error(request, link)
            return HttpResponseRedirect(_list())
        except InvalidInput as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(_list())
        if False in answers:
            messages.warning(request, NO_BROKER.format(row.pk))
        else:
            messages.success(request, f"Encoding {row.pk} is queued.")
        return HttpResponseRedirect(_page(row.pk))

    def refused_view(self, request: HttpRequest) -> HttpResponse:
        """All items that cannot be encoded now, whichever encoding met them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        modality = request.GET.get("modality", "")
        rows = content_state.refused(modality if modality in content_state.LABELS else "")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Could not be encoded",
            "page": CappedPaginator(rows, PER_PAGE).get_page(request.GET.get("page")),
            "labels": content_state.LABELS.items(),
            "modality": modality,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/encoding/refused.html", context)

    def cancel_view(self, request: HttpRequest, encoding_id: int) -> HttpResponse:
        if not request.user.has_perm("recommender.change_encoding"):
            raise PermissionDenied
        row = get_object_or_404(Encoding, pk=encoding_id)
        if request.method != "POST":
            lines = ["It stops within seconds. What it has encoded stays; the next encoding goes on from there."]
            title, label = f"Cancel encoding {row.pk}?", "Cancel the encoding"
            return self.ask_first(request, title, label, lines, _page(row.pk), encoding=row, danger=True)
        row = encoding.cancel(row.pk)
        self.tell_cancelled(request, row)
        return HttpResponseRedirect(_page(row.pk))


def _counted(modality: str, count: dict[str, int]) -> str:
    said = [f"{count['encoded']:,} encoded"] if count.get("encoded") else []
    said += [f"{count['refused']:,} refused"] if count.get("refused") else []
    return f"{content_state.LABELS.get(modality, modality)}: {', '.join(said) or 'nothing new'}"


def _named(count: dict[str, int]) -> dict[str, int]:
    """With names that a template can read: `count.items` would be a dictionary's."""
    return {"looked_at": count.get("items", 0), **{name: value for name, value in count.items() if name != "items"}}


def _fusion(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """How much each modality counts in an item's one vector, and how well pairs are found by each."""
    if not facts:
        return None
    found = facts.get("mrr", {})
    parts = [
        {
            "label": content_state.LABELS.get(m, m),
            "share": round(100 * facts["weights"][m]),
            "alone": f"{found[m]:.3f}" if m in found else "",
        }
        for m in facts["modalities"]
    ]
    return {"parts": parts, "pairs": facts.get("pairs", 0), "chosen": found.get("chosen"), "equal": found.get("equal")}


def _tuned(gain: dict[str, Any] | None) -> dict[str, Any] | None:
    return {**gain, "kept": round(100 * gain["share"])} if gain else None


def _page(encoding_id: int) -> str:
    return reverse("admin:recommender_encoding_change", args=[encoding_id])


def _list() -> str:
    return reverse("admin:recommender_encoding_changelist")
