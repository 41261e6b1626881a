"""What an encoding does: for each modality, an encoder that is learned or at hand, then the items that changed; at last
the artifact.

An encoder may learn for an hour. What is ready before serves meanwhile, and items that are saved meanwhile are encoded
by what is ready: both happen while the encoder says how far it is.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
from django.db import DatabaseError
from django.utils import timezone

from recommender.conf import conf
from recommender.engine import artifact
from recommender.engine.encoders import Arrays, Opened, encoder, make_config, store
from recommender.engine.errors import Cancelled, EndpointFailed, RecommenderError
from recommender.engine.options import Options, Progress
from recommender.models import Encoding, Item, ItemVector
from recommender.services import jobs
from recommender.services.content import content_artifacts, fine_tuning, item_content
from recommender.services.content.item_vectors import Pass, Tally
from recommender.services.run_monitor import RunMonitor

log = logging.getLogger(__name__)

MODALITIES = ("text", "image", "audio")
STAGES = {"look": 1, "text": 30, "image": 40, "audio": 19, "write": 10}
"""The stages in order, with their usual part of the time."""
LEARNING = 0.7  # of a modality's stage, where its encoder has to learn
MARGIN = timedelta(minutes=10)  # a save may be committed that long after the moment it writes on the item
MAX_LEARN = {"text": 200_000, "image": 20_000, "audio": 5_000}  # items that an encoder learns from
LEARN_AGAIN = 1.5  # times the items that an encoder was learned from
CATCH_UP_S = 20.0  # seconds between looks for items that were saved while an encoder learns
LATE = timedelta(seconds=60)  # of a save, between two such looks; the next encoding looks further back
SEED = 42


@dataclass
class Work:
    """One try at a job."""

    row: Encoding
    monitor: RunMonitor
    out_of_time: jobs.OutOfTime = ()
    """What the caller's time limit raises."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """Encoders by modality: of this job's earlier try, or else of the newest encoding that had some."""
    served: Mapping[str, Any] = field(default_factory=dict)
    """Those of the last encoding that succeeded."""
    failures: list[str] = field(default_factory=list)
    opened: dict[str, Opened] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Encoders that cannot be opened, or not be used."""
    caught_up: float = 0.0
    silent_endpoint: EndpointFailed | None = None

    def carry_out(self) -> None:
        """Raises Cancelled, EndpointFailed once the rest is done, and where an encoder was to be fine-tuned, why it
        cannot be."""
        row, monitor = self.row, self.monitor
        with monitor.stage("look"):
            last = Encoding.objects.filter(status=Encoding.Status.SUCCEEDED).order_by("-id").first()
            newest = Encoding.objects.exclude(encoders={}).order_by("-id").first()
            self.served = last.encoders if last else {}
            self.before = row.encoders or (newest.encoders if newest else {})
            rows = ItemVector.objects.filter(encoder__startswith=store.IMPORTED).order_by("modality")
            brought = dict(rows.values_list("modality", "encoder").distinct())
            on = conf().encoders_on
            row.encoders = {m: one for m, one in self.before.items() if m in on or m in brought}
        for modality in MODALITIES:
            with monitor.stage(modality):
                if modality in brought:  # they serve whatever the settings say
                    name, values = on.get(modality, ("", {}))
                    self._note(modality, {"name": name, "config": dict(values), "encoder": brought[modality]})
                elif modality in on:
                    self._modality(modality, *on[modality])
        with monitor.stage("write"):
            if row.everything or content_artifacts.needed(row.encoders):
                self._write(monitor.progress)
        row.error = " ".join(self.failures)
        if self.silent_endpoint is not None:  # so that it is asked again after a while only
            raise self.silent_endpoint

    def _modality(self, modality: str, name: str, values: Mapping[str, Any]) -> None:
        facts: dict[str, Any] = {"name": name, "config": dict(values)}
        began = [0.0]  # the share of the stage that learning took

        def learning(share: float, message: str) -> None:
            began[0] = LEARNING
            self.monitor.progress(LEARNING * share, f"{name}: {message}")
            self._catch_up()

        def encoding(share: float, message: str) -> None:
            self.monitor.progress(began[0] + (1 - began[0]) * share, message)

        try:
            facts |= self._fitted(modality, name, values, learning)
        except (Cancelled, OSError):
            raise
        except self.out_of_time:
            raise
        except Exception as error:  # whatever it is, the other modalities go on
            if self.row.tune == modality:  # what it was to begin from serves on
                raise
            reason = _said(error)
            log.warning("The %s encoder %s cannot be used: %s", modality, name, reason, exc_info=error)
            self.failures.append(f"{modality.capitalize()}: {reason}")
            self._note(modality, {**facts, "failed": reason})
            return
        self._note(modality, facts)
        try:
            self._pass(modality, facts["encoder"], encoding)
        except EndpointFailed as error:
            self.silent_endpoint = error

    def _note(self, modality: str, facts: Mapping[str, Any]) -> None:
        self.row.encoders = {**self.row.encoders, modality: {**facts, "by": self.row.pk}}
        self.monitor.save("encoders", "report")

    def _fitted(self, modality: str, name: str, values: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """The encoder of the settings: that which is there, where it still will do, or one learned now."""
        row, before = self.row, self.before.get(modality, {})
        giving = item_content.having(modality)
        count = giving.count()
        same = before.get("encoder") and (before["name"], before["config"]) == (name, dict(values))
        mine = before.get("by") == row.pk  # learned by this job, before its worker was lost
        enough = count <= LEARN_AGAIN * max(before.get("learned_from", 0), 1) and not row.everything
        if same and (mine or (row.tune != modality and (enough or before.get("tuned")))):
            try:
                self._open(modality, before["encoder"])
            except RecommenderError as error:  # gone, damaged, or of another version of this code
                log.warning("The %s encoder is learned again: %s", modality, error)
            else:
                return {key: before[key] for key in ("encoder", "learned_from", "tuned") if key in before}
        config = make_config(modality, name, values)
        self._serve_what_is_ready()
        kept = conf().artifacts_dir / "checkpoints" / f"encoder-{modality}"
        options = Options(
            seed=SEED,
            threads=max(1, conf().threads - 1),  # the shop answers meanwhile, for as long as it may take
            device=conf().device,
            checkpoints=kept / ("tuned" if row.tune == modality else "learned"),
            progress=progress,
        )
        facts: dict[str, Any] = {"learned_from": count}

        def learned() -> Arrays:
            ids = list(giving.values_list("pk", flat=True))
            if len(ids) > MAX_LEARN[modality]:
                chosen = np.random.default_rng(SEED).choice(len(ids), MAX_LEARN[modality], replace=False)
                ids = [ids[place] for place in np.sort(chosen)]
            progress(0.0, f"learning from {len(ids):,} items")
            return encoder(modality, name).fit(item_content.inputs(modality, ids), config, options)

        if row.tune == modality:
            until_now = self._stored(modality, before["encoder"]) if same else None
            arrays, gain = fine_tuning.learn(modality, name, values, lambda: until_now or learned(), options)
            row.report = {**row.report, "tuned": {"modality": modality, **gain}}
            facts["tuned"] = bool(gain["share"])
        else:
            arrays = learned()
        at = {"learned_at": timezone.now().isoformat()}
        made = store.write_encoder(conf().artifacts_dir, modality, name, config, arrays, {**facts, **at})
        shutil.rmtree(kept, ignore_errors=True)
        return {"encoder": made, **facts}

    def _pass(self, modality: str, made: str, progress: Progress) -> None:
        row, items = self.row, Item.objects.all()
        known = self.served.get(modality, {}).get("encoder") == made
        if row.since is not None and known:  # another encoder than before has every item to look at
            items = items.filter(updated_at__gte=row.since)

        def note(tally: Tally) -> None:
            row.counts[modality] = tally.as_json()
            self.monitor.save("counts", "refused")

        tally = Pass(row, modality, made, self._open(modality, made), items, note).carry_out(progress)
        note(tally)
        row.message = tally.said()

    def _open(self, modality: str, made: str) -> Opened:
        if made not in self.opened:
            self.opened[made] = store.open_encoder(conf().artifacts_dir / store.folder(modality, made))
        return self.opened[made]

    def _stored(self, modality: str, made: str) -> Arrays | None:
        """What an encoder learned; None where it is gone, or of another version of this code."""
        try:
            self._open(modality, made)
            return artifact.open_artifact(conf().artifacts_dir / store.folder(modality, made)).arrays
        except RecommenderError:
            return None

    def _serve_what_is_ready(self) -> None:
        """Before an encoder learns, which may take long: let the modalities serve that are done."""
        if content_artifacts.usable(self.row.encoders) and content_artifacts.needed(self.row.encoders):
            self._write(lambda share, message: self.monitor.progress(0.0, message))

    def _write(self, progress: Progress) -> None:
        row = self.row
        row.artifact = content_artifacts.write(row, row.encoders, progress, item_content.pairs)
        self.monitor.save("artifact", "report")

    def _catch_up(self) -> None:
        """While an encoder learns, encode what is saved meanwhile by those that serve."""
        now = time.monotonic()
        if now - self.caught_up < CATCH_UP_S:
            return
        since = timezone.now() - (LATE if self.caught_up else MARGIN)
        self.caught_up = now
        saved = Item.objects.filter(updated_at__gte=since)
        nothing: Callable[[Tally], None] = lambda tally: None  # noqa: E731
        for modality, made in content_artifacts.usable(self.row.encoders).items():
            if made.startswith(store.IMPORTED) or made in self.broken:
                continue
            try:
                one = Pass(self.row, modality, made, self._open(modality, made), saved, nothing)
                one.carry_out(lambda share, message: None)
            except Cancelled:
                raise
            except (RecommenderError, DatabaseError, OSError):
                log.exception("What was saved meanwhile could not be encoded; the next encoding does.")
                self.broken.add(made)


def _said(error: Exception) -> str:
    if isinstance(error, RecommenderError):
        return error.message
    if isinstance(error, ImportError):
        return f"{error}. Install its packages."
    return f"It broke ({type(error).__name__}: {error})."
