"""Borders that import-linter cannot see: what a web process has in memory, and how long files may grow."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "implicit", "pandas", "scipy", "sklearn", "pyarrow")
MAX_LINES = 420  # a file asks to be split at 400; a few lines of grace


def test_web_process_imports_neither_torch_nor_implicit():
    program = (
        "import recsite.wsgi, sys; from django.urls import get_resolver; get_resolver().url_patterns;"
        "from recommender.services import serving, training;"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_are_short_enough_to_read():
    files = [path for folder in ("recommender", "recsite", "tests") for path in (ROOT / folder).rglob("*.py")]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not long


def test_no_pickle_anywhere():
    needles = ("import pickle", "import joblib", "allow_pickle=True", "torch.load(")
    guilty = [
        str(path.relative_to(ROOT))
        for folder in ("recommender", "recsite")
        for path in (ROOT / folder).rglob("*.py")
        if any(needle in path.read_text() for needle in needles)
    ]
    assert not guilty
