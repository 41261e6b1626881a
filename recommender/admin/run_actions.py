"""What staff do with runs: train, watch, cancel, publish, roll back, withdraw. Each is a POST; a page asks first."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from recommender import tasks
from recommender.admin import outcomes, run_screening
from recommender.admin.forms import ReasonForm, TrainForm
from recommender.admin.jobs import JobAdmin
from recommender.engine.errors import InvalidConfig, RecommenderError, UnknownName
from recommender.models import Publication, Run
from recommender.services import publishing, training
from recommender.services.errors import RunActive
from recommender.services.screening import effects

NO_BROKER = (
    "The broker (Redis) does not answer. Run {} is queued and waits: a worker is called once the broker is back."
)


class RunActions(JobAdmin):
    """The doors of RunAdmin, apart from its list and page."""

    def get_urls(self) -> list[URLPattern]:
        views: list[tuple[str, Callable[..., HttpResponse], str]] = [
            ("train/", self.train_view, "recommender_run_train"),
            ("roll-back/", self.roll_back_view, "recommender_run_roll_back"),
            ("withdraw/", self.withdraw_view, "recommender_run_withdraw"),
            ("<int:run_id>/progress/", self.progress_view, "recommender_run_progress"),
            ("<int:run_id>/cancel/", self.cancel_view, "recommender_run_cancel"),
            ("<int:run_id>/publish/", self.publish_view, "recommender_run_publish"),
            ("<int:run_id>/estimate/", self.estimate_view, "recommender_run_estimate"),
            ("<int:run_id>/restore/", self.restore_view, "recommender_run_restore"),
        ]
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return own + super().get_urls()

    def may_train(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.add_run")

    def may_change(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_run")

    def may_restore(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_verdict")

    def progress_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        return self.told_progress(request, get_object_or_404(Run, pk=run_id))

    def train_view(self, request: HttpRequest) -> HttpResponse:
        if not self.may_train(request):
            raise PermissionDenied
        form = TrainForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                return self._train(request, form.cleaned_data)
            except RunActive as error:
                url = _page(error.context["run_id"])
                text = format_html('{} <a href="{}">Open run {}.</a>', error.message, url, error.context["run_id"])
                messages.error(request, text)
                return HttpResponseRedirect(_list())
            except (InvalidConfig, UnknownName) as error:
                form.add_error("config", error.message)
        return self._render(request, "train.html", {"title": "Train now", "form": form})

    def _train(self, request: HttpRequest, asked: dict[str, Any]) -> HttpResponse:
        answers: list[bool] = []
        with transaction.atomic():
            run = training.request(
                asked["trainer"] or None,
                asked["config"],
                requested_by=request.user.get_username(),
                reason=asked["reason"],
            )
            self.log_addition(request, run, "Asked for a training.")
            # Only once the row is committed can a worker find it.
            transaction.on_commit(lambda: answers.append(tasks.wake(run.pk)))
        if False in answers:
            messages.warning(request, NO_BROKER.format(run.pk))
        else:
            messages.success(request, f"Run {run.pk} is queued.")
        return HttpResponseRedirect(_page(run.pk))

    def cancel_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        run = self._run_to_change(request, run_id)
        if request.method != "POST":
            lines = ["It stops within seconds and leaves nothing behind. What is live stays live."]
            return self._confirm(request, f"Cancel run {run.pk}?", "Cancel the run", lines, run, danger=True)
        run = training.cancel(run.pk)
        self.tell_cancelled(request, run)
        return HttpResponseRedirect(_page(run.pk))

    def publish_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        run = self._run_to_change(request, run_id)
        refused = run.status == Run.Status.REFUSED

        def publish(reason: str) -> Publication:
            publication = publishing.publish(run.pk, reason, by=request.user)
            if refused:
                messages.warning(request, f"The gate had refused run {run.pk}; it serves because you said so.")
            return publication

        live_id = publishing.live_run_id()
        replaced = f"It replaces run {live_id}" if live_id else "Nothing is live now; it serves"
        return self._point(
            request,
            f"Publish run {run.pk}?",
            "Publish",
            [f"{replaced} from the next request on, after its files have been checked."],
            publish,
            run,
            warnings=["The gate refused this run:", *run.gate.get("reasons", [])] if refused else [],
        )

    def roll_back_view(self, request: HttpRequest) -> HttpResponse:
        self._check_may_change(request)
        target, live_id = publishing.roll_back_target(), publishing.live_run_id()
        if target is None:
            messages.error(request, "There is no earlier run to roll back to.")
            return HttpResponseRedirect(_list())
        if request.method == "POST" and request.POST.get("target") != str(target.pk):
            # Someone else published or rolled back while this page was open: show what it would do now.
            messages.error(request, f"Meanwhile that has changed: a roll-back now leads to run {target.pk}.")
            return HttpResponseRedirect(request.path)
        now = f"run {live_id} stops" if live_id else "no run is live now"
        return self._point(
            request,
            f"Roll back to run {target.pk}?",
            "Roll back",
            [f"Run {target.pk} ({target.trainer}) serves again; {now}."],
            lambda reason: publishing.roll_back(reason, by=request.user),
            target,
            expected=target.pk,
        )

    def withdraw_view(self, request: HttpRequest) -> HttpResponse:
        self._check_may_change(request)
        live = publishing.live_run()
        if live is None:
            messages.error(request, "No run is live.")
            return HttpResponseRedirect(_list())
        return self._point(
            request,
            f"Withdraw run {live.pk}?",
            "Withdraw",
            ["No model serves then: shoppers see popular items until a run is published again."],
            lambda reason: publishing.withdraw(reason, by=request.user),
            live,
            danger=True,
        )

    def estimate_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """What the run would have brought, told by what chance showed."""
        run = get_object_or_404(Run, pk=run_id)
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        return outcomes.estimate_view(self, request, run)

    def restore_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Release what the run left out by itself; the page first shows what that would change."""
        if not self.may_restore(request):
            raise PermissionDenied
        run = get_object_or_404(Run, pk=run_id)
        if request.method != "POST":
            ids = effects.restorable(run)
            if not ids:
                messages.warning(request, "There is nothing to restore: it was decided since, or is no longer found.")
                return HttpResponseRedirect(_page(run.pk))
            return self._confirm(
                request, f"Restore what run {run.pk} left out?", "Restore", run_screening.asked(ids), run, danger=True
            )
        try:
            done = effects.restore(run, request.user)
        except RecommenderError as error:
            messages.warning(request, error.message)
        else:
            messages.success(request, run_screening.restored(request, done))
            self.log_change(request, run, "Restored what it had left out.")
        return HttpResponseRedirect(_page(run.pk))

    def _point(
        self,
        request: HttpRequest,
        title: str,
        label: str,
        lines: list[str],
        act: Callable[[str], Publication],
        run: Run,
        **more: Any,
    ) -> HttpResponse:
        """Ask for a reason, then move the live pointer by `act`; what the service refuses becomes a message."""
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method != "POST" or not form.is_valid():
            return self._confirm(request, title, label, lines, run, form=form, **more)
        reason = form.cleaned_data["reason"]
        try:
            publication = act(reason)
        except RecommenderError as error:
            messages.error(request, f"Nothing has changed. {error.message}")
        except OSError as error:
            messages.error(request, f"Nothing has changed. The artifact cannot be read: {error}.")
        else:
            now = f"Run {publication.run_id} is live." if publication.run_id else "No run is live: popular items serve."
            messages.success(request, now)
            self.log_change(request, run, f"{publication.get_action_display().capitalize()}: {reason}")
        return HttpResponseRedirect(_page(run.pk))

    def _confirm(
        self, request: HttpRequest, title: str, label: str, lines: list[str], run: Run, **more: Any
    ) -> HttpResponse:
        context = {"title": title, "label": label, "lines": lines, "run": run, "back": _page(run.pk), **more}
        return self._render(request, "confirm.html", context)

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/recommender/run/{template}", context)

    def _run_to_change(self, request: HttpRequest, run_id: int) -> Run:
        self._check_may_change(request)
        return get_object_or_404(Run, pk=run_id)

    def _check_may_change(self, request: HttpRequest) -> None:
        if not self.may_change(request):
            raise PermissionDenied


def _page(run_id: int) -> str:
    return reverse("admin:recommender_run_change", args=[run_id])


def _list() -> str:
    return reverse("admin:recommender_run_changelist")
