"""What the lists and pages of runs and encodings share: both are jobs."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.models.jobs import Job
from recommender.services import console


class JobAdmin(admin.ModelAdmin):
    """Columns of a job's list; its progress, and words about a cancellation."""

    @admin.display(description="Status", ordering="status")
    def state(self, job: Job) -> SafeString:
        share = f" {console.percent(job.share_done)} %" if job.status == Job.Status.RUNNING else ""
        return format_html(
            '<span class="badge badge-{}" title="{}">{}{}</span>',
            job.status,
            job.get_status_display(),
            job.status,
            share,
        )

    @admin.display(description="Asked for by", ordering="requested_by")
    def asked_by(self, job: Job) -> SafeString:
        if job.reason:
            return format_html('{}<br><span class="quiet">{}</span>', job.requested_by or "–", job.reason)
        return format_html("{}", job.requested_by or "–")

    @admin.display(description="Started", ordering="started_at")
    def started(self, job: Job) -> str | SafeString:
        if job.started_at is None:
            return "–"
        at = date_format(timezone.localtime(job.started_at), "DATETIME_FORMAT")
        if job.finished_at is None:
            return at
        took = console.span((job.finished_at - job.started_at).total_seconds())
        return format_html('{}<br><span class="quiet">took {}</span>', at, took)

    def told_progress(self, request: HttpRequest, job: Job) -> HttpResponse:
        """Its progress as JSON; its page asks every second."""
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return JsonResponse(console.progress(job))

    def ask_first(
        self, request: HttpRequest, title: str, label: str, lines: list[str], back: str, **more: Any
    ) -> HttpResponse:
        """The page that says what a button does before it does it."""
        request.current_app = self.admin_site.name
        context = {"opts": self.opts, "title": title, "label": label, "lines": lines, "back": back, **more}
        context |= self.admin_site.each_context(request)
        return TemplateResponse(request, "admin/recommender/run/confirm.html", context)

    def tell_cancelled(self, request: HttpRequest, job: Job) -> None:
        """Say what became of a cancellation, and note that it was asked for."""
        name = f"{self.opts.verbose_name} {job.pk}".capitalize()
        if job.status == Job.Status.CANCELLED:
            messages.success(request, f"{name} is cancelled.")
        elif job.is_active:
            messages.success(request, f"{name} was asked to stop; it does within seconds.")
        else:
            messages.warning(request, f"{name} had already ended: {job.get_status_display()}.")
        self.log_change(request, job, "Asked to cancel it.")
