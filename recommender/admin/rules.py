"""Rules: written, previewed on real lists, switched on and off, undone; and who did what."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime

from recommender.admin.rule_form import FIELDS, LANGUAGE, RuleForm
from recommender.admin.rule_list import RuleColumns, badge, schedule, sentence
from recommender.models import Rule
from recommender.services import rules
from recommender.services.errors import InvalidInput
from recommender.services.rules import previewing

KEPT = [*FIELDS, "enabled"]  # what an undo brings back
LABELS = {field.name: str(field.verbose_name) for field in Rule._meta.fields}


@admin.register(Rule)
class RuleAdmin(RuleColumns):
    change_list_template = "admin/recommender/rule/change_list.html"
    actions = ["switch_off"]

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("<int:rule_id>/off/", self.off_view, "recommender_rule_off"),
            ("<int:rule_id>/undo/", self.undo_view, "recommender_rule_undo"),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return own + super().get_urls()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form with its preview on one page. What is previewed is not saved yet; only what was is switched on."""
        row = None if object_id is None else self.get_object(request, unquote(object_id))
        if object_id is not None and row is None:
            messages.warning(request, "There is no such rule; perhaps it was deleted.")
            return HttpResponseRedirect(_list())
        may = self.has_add_permission(request) if row is None else self.has_change_permission(request, row)
        if not may and (request.method == "POST" or row is None or not self.has_view_permission(request, row)):
            raise PermissionDenied
        form = RuleForm(request.POST if request.method == "POST" else None, instance=row or Rule())
        seen: previewing.Preview | None = None
        if request.method == "POST" and form.is_valid():
            looked = form.mark == request.POST.get("previewed")
            if "_draft" in request.POST or ("_on" in request.POST and looked):
                return self._save(request, form, on="_on" in request.POST)
            if "_on" in request.POST:
                messages.warning(request, "This is not what the last preview showed. Look again, then switch it on.")
            try:
                seen = previewing.preview(form.instance, form.cleaned_data["visitor"])
            except InvalidInput as error:
                form.add_error("visitor", error.detail)
        if not may:
            for field in form.fields.values():
                field.disabled = True
        stored = None if row is None else Rule.objects.get(pk=row.pk)  # `row` may hold what is only previewed
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": stored.name if stored else "New rule",
            "form": form,
            "rule": stored,
            "badge": badge(stored) if stored else "",
            "broken": rules.problems(stored) if stored else {},
            "sentence": sentence(form.instance) if seen else "",
            "schedule": schedule(form.instance),
            "seen": seen,
            "mark": form.mark if seen else "",
            "language": LANGUAGE,
            "may": may,
            "may_delete": stored is not None and self.has_delete_permission(request, stored),
            "can_undo": may and stored is not None and _last_change(stored) is not None,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/rule/form.html", context)

    def _save(self, request: HttpRequest, form: RuleForm, on: bool) -> HttpResponse:
        row: Rule = form.instance
        before = None if row.pk is None else Rule.objects.get(pk=row.pk)
        row.enabled = on
        self._store(request, row, before)
        state = rules.state(row)
        said = {"on": "is on: it acts from the next request on", "scheduled": f"is on, {schedule(row)}"}
        messages.success(request, f"{row.name} {said.get(state, 'is saved; it is off' if not on else state)}.")
        return HttpResponseRedirect(_page(row.pk))

    def _store(self, request: HttpRequest, row: Rule, before: Rule | None, words: str = "") -> None:
        """Save it and note who changed what; the note holds what it was before, for an undo."""
        row.changed_by = request.user  # type: ignore[assignment]
        with transaction.atomic():
            row.save()
            if before is None:
                self.log_addition(request, row, [{"added": {}}])
            else:
                was, now = _values(before), _values(row)
                changed = [name for name in KEPT if was[name] != now[name]]
                names = [words] if words else [LABELS[name] for name in changed]
                note = {"changed": {"fields": names}, "before": {name: was[name] for name in changed}}
                self.log_change(request, row, [note] if changed else [])
            transaction.on_commit(rules.read_again)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: QuerySet[Rule]) -> None:
        found = list(chosen.filter(enabled=True))
        for row in found:
            self._switch_off(request, row)
        self.message_user(request, f"{len(found)} rules are switched off.", messages.SUCCESS)

    def _switch_off(self, request: HttpRequest, row: Rule) -> None:
        before = Rule.objects.get(pk=row.pk)
        row.enabled = False
        self._store(request, row, before)

    def off_view(self, request: HttpRequest, rule_id: int) -> HttpResponse:
        row = self._to_change(request, rule_id)
        if request.method == "POST" and row.enabled:
            self._switch_off(request, row)
            messages.success(request, f"{row.name} is off from the next request on.")
        return HttpResponseRedirect(_page(row.pk))

    def undo_view(self, request: HttpRequest, rule_id: int) -> HttpResponse:
        """Bring back what the rule was before its last change. Done twice, it is as it was."""
        row = self._to_change(request, rule_id)
        last = _last_change(row)
        if last is None:
            messages.warning(request, "There is no change to undo.")
            return HttpResponseRedirect(_page(row.pk))
        entry, values = last
        before = Rule.objects.get(pk=row.pk)
        for name, value in values.items():
            setattr(row, name, parse_datetime(value) if name in ("starts_at", "ends_at") and value else value)
        if request.method != "POST":
            now = _values(before)
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"Undo the last change of {before.name}?",
                "entry": entry,
                "rows": [(LABELS[name], _shown(now[name]), _shown(value)) for name, value in values.items()],
                "live": row.enabled,
                "back": _page(row.pk),
            }
            request.current_app = self.admin_site.name
            return TemplateResponse(request, "admin/recommender/rule/undo.html", context)
        try:
            row.full_clean()
        except ValidationError as error:
            messages.error(request, f"Nothing has changed. {' '.join(error.messages)}")
        else:
            self._store(request, row, before, words="what was before the last change")
            messages.success(request, f"The last change of {row.name} is undone.")
        return HttpResponseRedirect(_page(row.pk))

    def _to_change(self, request: HttpRequest, rule_id: int) -> Rule:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return get_object_or_404(Rule, pk=rule_id)

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        super().delete_model(request, obj)
        transaction.on_commit(rules.read_again)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        super().delete_queryset(request, queryset)
        transaction.on_commit(rules.read_again)


def _last_change(row: Rule) -> tuple[LogEntry, dict[str, Any]] | None:
    """The last one that is noted with what was before it, and that."""
    kind = ContentType.objects.get_for_model(Rule)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(row.pk), action_flag=CHANGE)
    entry = entries.select_related("user").order_by("-id").first()
    if entry is None:
        return None
    try:
        before = json.loads(entry.change_message)[0]["before"]
        values = {name: before[name] for name in KEPT if name in before}
    except (ValueError, LookupError, TypeError):  # words of another hand
        return None
    return (entry, values) if values else None


def _values(row: Rule) -> dict[str, Any]:
    """As JSON has them."""
    found = {name: getattr(row, name) for name in KEPT}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "–" if value is None or value == "" else f"{value:g}" if isinstance(value, float) else str(value)


def _page(rule_id: int) -> str:
    return reverse("admin:recommender_rule_change", args=[rule_id])


def _list() -> str:
    return reverse("admin:recommender_rule_changelist")
