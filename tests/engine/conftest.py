"""Hypothesis for a machine that is busy with other things: no deadlines, the same examples, no litter."""

from pathlib import Path

from django.conf import settings as django_settings
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(django_settings.VAR_DIR) / "hypothesis")
settings.register_profile("engine", deadline=None, derandomize=True, database=None)
settings.load_profile("engine")
