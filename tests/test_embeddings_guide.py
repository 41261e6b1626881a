"""docs/embeddings.md: its Python runs in order and prints what the page says; its pictures and files are there."""

import contextlib
import importlib.util
import io
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "embeddings.md"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n\n?```text\n(?P<prints>.*?)^```$)?", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"-?\d+\.\d+|-?\d+")
TOLERANCE = 0.06  # of a number with a point: other processors round otherwise, and what learns goes other ways then
UNITS = 1.6  # of the last digit shown, where that is more
NEEDS = dict.fromkeys(("BERT", "GPT", "ResNet", "Vision Transformer", "Wav2Vec", "Fine-tuning"), ("transformers",))
NEEDS["Keras"] = ("keras", "h5py")
"""What a section's examples want of requirements-extras.txt."""
LARGEST_PICTURE = 60_000  # bytes


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Each Python block's section, code, and what the page says that it prints."""
    for block in BLOCK.finditer(text):
        section = re.findall(r"^#+ (.+)$", text[: block.start()], re.MULTILINE)[-1]
        yield section, block["code"], block["prints"] or ""


def run(code: str, names: dict[str, Any]) -> str:
    """What a block prints; what it defines is put into `names`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, PAGE.name, "exec"), names)
    return printed.getvalue()


def close(shown: str, printed: str) -> bool:
    """The same words and whole numbers, and about the same other numbers."""
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    return all(
        a == b if "." not in a + b else abs(float(a) - float(b)) <= max(TOLERANCE, UNITS * 0.1 ** len(a.split(".")[1]))
        for a, b in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    )


def test_every_example_prints_what_the_page_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names: dict[str, Any] = {}
    left_out = dict[str, str]()
    for section, code, shown in blocks(PAGE.read_text()):
        if lacking := [name for name in NEEDS.get(section, ()) if importlib.util.find_spec(name) is None]:
            left_out[section] = ", ".join(lacking)
            continue
        with warnings.catch_warnings():
            if section == "Keras":
                warnings.simplefilter("ignore")  # its own, about NumPy 2
            printed = run(code, names)
        assert close(shown, printed), f"{section} printed:\n{printed}"
    assert names["word_cosines"][0, 1] > names["word_cosines"][2, 3]  # king is closer to queen than cat to airplane
    if left_out:
        pytest.skip("; ".join(f"{section}: no {name}" for section, name in left_out.items()))


def test_numbers_are_compared_as_numbers() -> None:
    assert close("loss 0.5 in 3", "loss 0.6 in 3")
    assert not close("loss 0.5 in 3", "loss 0.7 in 3")
    assert not close("0.68", "0.75")
    assert not close("(4, 384)", "(4, 385)")
    assert not close("king -0.07", "queen -0.07")
    assert not close("", "3")


def test_pictures_and_files_that_the_page_names_are_there() -> None:
    text = PAGE.read_text()
    pictures = re.findall(r"!\[[^\]]+\]\((\S+?)\)", text)
    assert len(pictures) == len(set(pictures))
    for name in pictures:
        picture = PAGE.parent / name
        assert 0 < picture.stat().st_size < LARGEST_PICTURE, name
    assert {Path(name).name for name in pictures} == {
        file.name for file in (PAGE.parent / "images/embeddings").iterdir()
    }
    headings = [heading.lower() for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
        file, _, anchor = link.partition("#")
        assert (PAGE.parent / file).exists(), link
        assert file or anchor in anchors, link
    for name in re.findall(r"`((?:engine|encoders|trainers|services)/[\w/.]*)", text):
        places = [ROOT / "recommender" / start / name for start in ("", "engine")]
        assert any(place.exists() or place.with_suffix(".py").exists() for place in places), name
