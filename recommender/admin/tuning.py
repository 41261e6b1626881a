"""What tuning found: the stored leaderboards, with a button that trains with the settings of a row."""

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from recommender.engine.evaluation.trials import State
from recommender.services import leaderboards
from recommender.services.leaderboards import Board, Entry

BOARDS, ROWS = 3, 10  # shown at once, and of each board; `manage.py tune --leaderboard --json` has them all
BADGES = {"best": "live", "tie": "succeeded", "worse": "queued", "failed": "failed"}  # by standing; others are grey


class TuningPage(admin.ModelAdmin):
    """The page beside RunAdmin's list; its buttons post to the door that Train now has."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.tuning_view)
        return [path("tuning/", view, name="recommender_run_tuning"), *super().get_urls()]

    def tuning_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        boards, damaged = leaderboards.stored()
        study = request.GET.get("study", "")
        chosen = [board for board in boards if board.study == study] or boards[:BOARDS]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Tuning",
            "boards": [_shown(board) for board in chosen],
            "others": [board for board in boards if board not in chosen],
            "damaged": damaged,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/run/tuning.html", context)


def _shown(board: Board) -> dict[str, Any]:
    rows = board.entries[:ROWS]
    widest = max((max(entry.trial.high, entry.trial.value, 0.0) for entry in rows), default=0.0) or 1.0
    return {
        "board": board,
        "rows": [_row(entry, board, 100 / widest) for entry in rows],
        "more": len(board.entries) - len(rows),
        "ties": sum(entry.standing == "tie" for entry in board.entries),
    }


def _row(entry: Entry, board: Board, scale: float) -> dict[str, Any]:
    """What a line shows. Bar lengths are texts, in hundredths of the widest: no locale puts commas in them."""
    trial, measured = entry.trial, entry.trial.value >= 0
    known = trial.high >= 0
    return {
        "entry": entry,
        "badge": BADGES.get(entry.standing, "cancelled"),
        "value": f"{trial.value:.4f}" if measured else "–",
        "interval": f"{trial.low:.4f}–{trial.high:.4f}" if known else "",
        "bar": f"{max(trial.value, 0.0) * scale:.1f}",
        "low": f"{max(trial.low, 0.0) * scale:.1f}" if known else "",
        "high": f"{trial.high * scale:.1f}" if known else "",
        "behind": f"{entry.behind.low:.4f} to {entry.behind.high:.4f}" if entry.behind else "",
        "seconds": f"{trial.fit_s:.1f} s",
        "config": json.dumps(dict(trial.config)),
        "reason": leaderboards.reason(entry, board),
        "can_train": board.of_site and trial.state == State.DONE,
    }
