import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from recommender.services.benchmarking import encoders, processes


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("benchmark", "encoders", *arguments, stdout=out)
    return out.getvalue()


def test_each_encoder_is_a_row_and_a_missing_model_too(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    text = run(
        "--modality", "text", "--encoder", "hashing", "--encoder", "glove", "--items", "70", "--threads", "2",
        "--config", json.dumps({"hashing": {"dimension": 64}}), "--json", str(out),
    )  # fmt: skip
    glove, hashing = text.splitlines()[2:]
    assert "no result: The model is not there or cannot be read. Set `path`" in glove
    assert hashing.split()[:3] == ["text", "hashing", "64"]
    (missing, found) = json.loads(out.read_text())["measured"]
    assert missing["refusal"] and not missing["items_per_s"]
    assert found["items"] == 70 and found["config"] == {"dimension": 64}
    assert all(found[key] > 0 for key in ("items_per_s", "query_ms", "load_s", "size_mib", "peak_mib", "fit_mib"))


def test_what_a_limit_stops_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def over(work: Any, *args: Any, **kwargs: Any) -> Any:
        return processes.Refusal("Over the limit of 1 s.")

    monkeypatch.setattr(processes, "apart", over)
    lines = run("--modality", "text").splitlines()
    assert len(lines) == 9 and all("no result: Over the limit of 1 s." in line for line in lines[2:])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--encoder", "no-such"], "'no-such' is none of: bert"),
        (["--modality", "image", "--encoder", "minilm"], "'minilm' is none of: clip"),
        (["--items", "0"], "--items must be 1 or more"),
        (["--threads", "0"], "--threads must be 1 or more"),
        (["--config", "{"], "not JSON"),
        (["--config", '{"dimension": 3}'], "by encoder"),
        (["--config", '{"no-such": {}}'], "is no encoder"),
        (["--encoder", "hashing", "--config", '{"hashing": {"size": 3}}'], "hashing has no setting size"),
        (["--json", "nowhere/out.json"], "nowhere is not a folder"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)


def test_made_up_inputs_are_the_same_each_time_and_like_a_catalogue() -> None:
    texts = encoders.made_up("text", 200, seed=0)
    assert texts == encoders.made_up("text", 200, seed=0) != encoders.made_up("text", 200, seed=1)
    assert 40 < np.median([len(text.split()) for text in texts]) < 60
    assert np.median([len(text.split()) for text in encoders.made_up("text", 50, seed=0, short=True)]) < 6
    (picture,), (sound,) = encoders.made_up("image", 1, seed=0), encoders.made_up("audio", 1, seed=0)
    assert picture.shape == (384, 384, 3) and picture.dtype == np.uint8 and len(np.unique(picture)) > 100
    assert sound.shape == (80_000,) and sound.dtype == np.float32 and 0.1 < np.abs(sound).max() < 1
