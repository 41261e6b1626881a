"""The review queue: what detectors found, why, and what staff decide about it."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from recommender.admin import verdict_page
from recommender.admin.lists import MAX_SEARCH
from recommender.admin.readonly import ReadOnlyAdmin
from recommender.admin.verdict_list import GroupFilter, KindFilter, Queue, QueueColumns, StateFilter
from recommender.models import Screening, Verdict
from recommender.services.errors import InvalidInput
from recommender.services.screening import consequences, verdicts

DONE = {"confirm": "confirmed", "release": "released", "quarantine": "quarantined"}
LABELS = {"confirm": "Confirm", "release": "Release", "quarantine": "Quarantine"}
MAX_BACK = 1000  # characters of a list's address


@admin.register(Verdict)
class VerdictAdmin(QueueColumns, ReadOnlyAdmin):
    change_list_template = "admin/recommender/verdict/change_list.html"
    list_display = ["looks_like", "who", "why", "targets", "state_now"]
    list_filter = [StateFilter, "subject", KindFilter, GroupFilter]
    search_fields = ["subject_id"]  # that there is a field; what it finds is `get_search_results`
    search_help_text = "The id of a visitor, review, order, session or target item, in full."
    ordering = ["-probability", "-id"]
    list_per_page = 30
    actions = ["confirm", "release", "quarantine"]

    class Media:
        css = {"all": ["recommender/admin/verdicts.css"]}
        js = ["recommender/admin/verdicts.js"]

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("decide/", self.decide_view, "recommender_verdict_decide"),
            ("undo/<uuid:batch>/", self.undo_view, "recommender_verdict_undo"),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return own + super().get_urls()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Queue]:
        return Queue

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By an id in full: a target's stands between quotes in the evidence."""
        term = search_term.strip()[:MAX_SEARCH]
        if not term:
            return queryset, False
        target = Q(evidence__targets__icontains=f'"{term}"')
        return queryset.filter(Q(subject_id=term) | Q(visitor=term) | target), False

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_verdict")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        latest = Screening.objects.filter(status=Screening.Status.SUCCEEDED).order_by("-id").first()
        context = {
            "title": "Verdicts",
            "screened": latest,
            "screening": Screening.objects.filter(status__in=Screening.ACTIVE).first(),
            "found_ever": Verdict.objects.exists(),
            "can_decide": self.has_decide_permission(request),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.action(description="Confirm: it is what it looks like", permissions=["decide"])
    def confirm(self, request: HttpRequest, chosen: QuerySet[Verdict]) -> HttpResponse:
        return self._chosen(request, chosen, "confirm")

    @admin.action(description="Release: all is well", permissions=["decide"])
    def release(self, request: HttpRequest, chosen: QuerySet[Verdict]) -> HttpResponse:
        return self._chosen(request, chosen, "release")

    @admin.action(description="Quarantine: leave it out until it is clear", permissions=["decide"])
    def quarantine(self, request: HttpRequest, chosen: QuerySet[Verdict]) -> HttpResponse:
        return self._chosen(request, chosen, "quarantine")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The evidence. There is nothing to edit, so it is drawn instead of a form."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            messages.warning(
                request, f"There is no verdict {unquote(object_id)[:20]}; it may be gone with its visitor."
            )
            return HttpResponseRedirect(_list())
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "media": self.media,
            "can_decide": self.has_decide_permission(request),
            "labels": LABELS,
            **verdict_page.context(row),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/verdict/page.html", context)

    def decide_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows what a decision would do, POST carries it out."""
        if not self.has_decide_permission(request):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET
        action, single = asked.get("action", ""), asked.get("page", "")
        try:
            ids = verdicts.checked_ids(_asked(asked))
            if request.method != "POST":
                return self._preview(request, ids, action, asked.get("back", ""))
            done = verdicts.decide(ids, action, request.user, asked.get("note", ""))
        except InvalidInput as error:
            messages.error(request, error.detail or error.message)
            return HttpResponseRedirect(_list())
        self._tell(request, done, action)
        if single.isdecimal() and len(ids) == 1 and Verdict.objects.filter(pk=ids[0]).exists():
            return HttpResponseRedirect(_page(ids[0]))
        return HttpResponseRedirect(_list(asked.get("back", "")))

    def undo_view(self, request: HttpRequest, batch: uuid.UUID) -> HttpResponse:
        if not self.has_decide_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        single = request.POST.get("page", "")
        try:
            done = verdicts.undo(batch, request.user)
        except InvalidInput as error:
            messages.error(request, error.detail or error.message)
            return HttpResponseRedirect(_list(request.POST.get("back", "")))
        if done.changed:
            said = f"Undone: {_count(done.changed)} {'is' if done.changed == 1 else 'are'} as before."
            messages.success(request, said)
        if done.kept:
            said = f"{_count(done.kept)} changed since, and {'stays' if done.kept == 1 else 'stay'} so."
            messages.warning(request, said)
        if single.isdecimal() and len(single) < 19:
            return HttpResponseRedirect(_page(int(single)))
        return HttpResponseRedirect(_list(request.POST.get("back", "")))

    def _chosen(self, request: HttpRequest, chosen: QuerySet[Verdict], action: str) -> HttpResponse:
        ids = list(chosen.order_by().values_list("pk", flat=True)[: verdicts.MOST_AT_ONCE + 1])
        try:
            return self._preview(request, verdicts.checked_ids(ids), action, request.GET.urlencode())
        except InvalidInput as error:
            messages.error(request, error.detail or error.message)
            return HttpResponseRedirect(request.get_full_path())

    def _preview(self, request: HttpRequest, ids: list[int], action: str, back: str) -> HttpResponse:
        effect = consequences.of(ids, action)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": f"{LABELS[action]} {_count(len(ids))}?",
            "label": LABELS[action],
            "action": action,
            "ids": ",".join(map(str, ids)),
            "effect": effect,
            "lines": verdict_page.lines(effect),
            "max_note": verdicts.MAX_NOTE,
            "back": back[:MAX_BACK],
            "back_url": _list(back),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/verdict/decide.html", context)

    def _tell(self, request: HttpRequest, done: verdicts.Decided, action: str) -> None:
        more = [f"{done.already:,} already {'was' if done.already == 1 else 'were'}"] if done.already else []
        more += [f"{done.missing:,} {'is' if done.missing == 1 else 'are'} gone"] if done.missing else []
        rest = f" ({'; '.join(more)})" if more else ""
        if not done.changed:
            messages.warning(request, f"Nothing changed{rest}.")
            return
        said = f"{_count(done.changed)} {'is' if done.changed == 1 else 'are'} {DONE[action]}{rest}."
        messages.success(request, format_html("{} {}", said, _undo_form(request, done.batch)))


def _undo_form(request: HttpRequest, batch: uuid.UUID) -> SafeString:
    """A button within a message: undoing changes something, so that it must be posted."""
    return format_html(
        '<form class="verdict-undo" method="post" action="{}">'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
        '<input type="hidden" name="page" value="{}"><input type="hidden" name="back" value="{}">'
        '<button type="submit" class="button" data-key="u">Undo</button></form>',
        reverse("admin:recommender_verdict_undo", args=[batch]),
        get_token(request),
        request.POST.get("page", "")[:19],
        request.POST.get("back", "")[:MAX_BACK],
    )


def _asked(asked: QueryDict) -> list[Any]:
    """The ids that were named, or all of a group that still wait."""
    if group := asked.get("group", ""):
        rows = Verdict.objects.filter(group=group, state__in=Verdict.WAITING)
        return list(rows.values_list("pk", flat=True)[: verdicts.MOST_AT_ONCE + 1])
    return [one for one in asked.get("ids", "").split(",") if one.strip()]


def _count(number: int) -> str:
    return f"{number:,} verdict{'' if number == 1 else 's'}"


def _page(verdict_id: int) -> str:
    return reverse("admin:recommender_verdict_change", args=[verdict_id])


def _list(query: str = "") -> str:
    """The queue, as it was filtered."""
    kept = QueryDict(Truncator(query).chars(MAX_BACK, "")).urlencode() if query else ""
    return reverse("admin:recommender_verdict_changelist") + (f"?{kept}" if kept else "")
