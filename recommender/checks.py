"""System checks: `manage.py check` refuses a site that could not train or serve."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from recommender.conf import Conf, conf
from recommender.engine.encoders import ENCODERS
from recommender.engine.encoders import make_config as encoder_config
from recommender.engine.errors import RecommenderError
from recommender.engine.index import INDEXES
from recommender.engine.trainers import TRAINERS, make_config


@register()
def recommender_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        values = conf()
        values.weights  # noqa: B018  built to be checked
    except (ImproperlyConfigured, TypeError, RecommenderError) as error:
        return [Error(str(error), hint="See docs/configuration.md.", id="recommender.E001")]
    found: list[CheckMessage] = []
    if values.trainer not in TRAINERS:
        found.append(
            Error(f"Unknown trainer {values.trainer!r}.", hint=f"One of: {', '.join(TRAINERS)}.", id="recommender.E002")
        )
    else:
        try:
            make_config(values.trainer, values.trainer_config)
        except (RecommenderError, ImportError) as error:
            # A web process may lack a trainer's packages; make_config imports none of them, so this is a real fault.
            found.append(Error(str(error), hint="Mend RECOMMENDER['trainer_config'].", id="recommender.E003"))
    if values.index not in {"auto", *INDEXES}:
        found.append(
            Error(f"Unknown index {values.index!r}.", hint=f"auto, {', '.join(INDEXES)}.", id="recommender.E004")
        )
    if not 0 < values.test_share < 1:
        found.append(Error("test_share must lie between 0 and 1.", id="recommender.E005"))
    if values.history_length < 1 or values.threads < 1:
        found.append(Error("history_length and threads must be 1 or more.", id="recommender.E006"))
    if values.device not in ("auto", "cpu", "cuda"):
        found.append(Error(f"Unknown device {values.device!r}.", hint="auto, cpu, cuda.", id="recommender.E008"))
    found += _encoders(values)
    try:
        values.language_model  # noqa: B018  built to be checked
    except RecommenderError as error:
        found.append(Error(str(error), hint="Mend ASSISTANT; see docs/assistant.md.", id="recommender.E020"))
    try:
        values.screened  # noqa: B018  built to be checked
    except RecommenderError as error:
        found.append(Error(str(error), hint="Mend SCREENING; see docs/screening.md.", id="recommender.E021"))
    try:
        values.served  # noqa: B018  built to be checked
    except RecommenderError as error:
        found.append(Error(str(error), hint="Mend SERVING; see docs/serving.md.", id="recommender.E041"))
    found += _guard(values)
    directory = values.artifacts_dir
    while not directory.exists():
        directory = directory.parent
    if not os.access(directory, os.W_OK):
        found.append(
            Error(f"{values.artifacts_dir} cannot be written.", hint="Set RECSITE_VAR.", id="recommender.E007")
        )
    return found


def _guard(values: Conf) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    try:
        values.guarding  # noqa: B018  built to be checked
    except RecommenderError as error:
        found.append(Error(str(error), hint="Mend GUARD; see docs/guarding.md.", id="recommender.E031"))
    try:
        wanted = values.alerting
    except RecommenderError as error:
        return [*found, Error(str(error), hint="Mend ALERTS; see docs/guarding.md.", id="recommender.E032")]
    if wanted.email and not settings.EMAIL_URL:
        hint = "Set EMAIL_URL, such as smtp://user:password@mail.example:587."
        found.append(Error("alerts: no mail can be sent.", hint=hint, id="recommender.E033"))
    if wanted.webhook and len(os.environ.get(wanted.secret_variable, "")) < wanted.LEAST_SECRET:
        text = f"alerts: {wanted.secret_variable} holds no secret to sign the webhook's messages with."
        hint = f"Set {wanted.secret_variable} to {wanted.LEAST_SECRET} random characters or more."
        found.append(Error(text, hint=hint, id="recommender.E034"))
    return found


def _encoders(values: Conf) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for modality, chosen in values.encoders.items():
        if modality not in ENCODERS:
            text = f"encoders: {modality!r} is none of: {', '.join(ENCODERS)}."
            found.append(Error(text, hint="Mend ENCODERS.", id="recommender.E009"))
            continue
        if not chosen:
            continue
        if not isinstance(chosen, dict) or not {"name"} <= set(chosen) <= {"name", "config"}:
            text = f'encoders: {modality} must be null or an object such as {{"name": "hashing", "config": {{}}}}.'
            found.append(Error(text, hint="Mend ENCODERS.", id="recommender.E009"))
        elif chosen["name"] not in ENCODERS[modality]:
            text = f"Unknown {modality} encoder {chosen['name']!r}."
            found.append(Error(text, hint=f"One of: {', '.join(ENCODERS[modality])}.", id="recommender.E010"))
        else:
            try:
                encoder_config(modality, chosen["name"], chosen.get("config") or {})
            except (RecommenderError, TypeError, ImportError) as error:
                found.append(Error(f"encoders: {modality}: {error}", hint="Mend ENCODERS.", id="recommender.E011"))
    return found
