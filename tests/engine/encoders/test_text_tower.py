from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recommender.engine.encoders.text import bert_files, minilm
from recommender.engine.encoders.text.bert_files import BertFiles
from recommender.engine.encoders.text.bert_module import Bert
from recommender.engine.encoders.text.minilm import MinilmConfig, MinilmEncoder
from recommender.engine.encoders.text.tokens import Tokens, padded
from recommender.engine.encoders.text_tower import Known, TextTowerConfig, fine_tune
from recommender.engine.errors import Cancelled, InvalidConfig, ModelMissing, NoData
from recommender.engine.learning import loop
from recommender.engine.options import Options
from tests.engine.encoders.text import tiny
from tests.engine.encoders.text.contract import TEXTS

SMALL = TextTowerConfig(epochs=6, learning_rate=3e-3, batch=32, dropout=0.0, encoder=MinilmConfig(precision="float32"))
LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="requirements-extras.txt is not installed")
    return tiny.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def base(folder: Path) -> BertFiles:
    return bert_files.read(folder)


def world() -> tuple[list[str], np.ndarray]:
    """Texts go together where they have the same first letter, which no cosine of untrained vectors tells from the
    words around it."""
    rng = np.random.default_rng(0)
    said = ["lamp", "blue", "set", "red", "garden", "mug", "notes", "sea", "second", "white", "tins", "maps", "long"]
    texts = [f"{LETTERS[row % 8]} {' '.join(rng.choice(said, 2))}" for row in range(320)]
    pairs = rng.integers(0, 320, (8000, 2))
    return texts, pairs[pairs[:, 0] % 8 == pairs[:, 1] % 8]


def test_the_module_says_what_the_graph_and_transformers_say(folder: Path, base: BertFiles) -> None:
    from transformers import BertModel

    tokens = Tokens(base.tokenizer, 64)
    given = {name: torch.as_tensor(array) for name, array in padded([tokens.of(text) for text in TEXTS]).items()}
    with torch.no_grad():
        found = Bert(base).eval()(**given).numpy()
        states = BertModel.from_pretrained(folder).eval()(given["ids"], given["mask"]).last_hidden_state
        mean = (states * given["mask"][..., None]).sum(dim=1)
    np.testing.assert_allclose(found, torch.nn.functional.normalize(mean, dim=-1).numpy(), atol=1e-5)
    config = MinilmConfig(precision="float32", length=64)
    graph = MinilmEncoder.open(minilm.arrays_of(base, config), config)
    np.testing.assert_allclose(graph.encode(TEXTS), found, atol=1e-5)


def test_weights_go_in_and_come_out(base: BertFiles) -> None:
    found = Bert(base, trained_layers=1).weights()
    assert set(found) == set(base.weights)
    for name, weight in base.weights.items():
        np.testing.assert_array_equal(found[name], weight)


@pytest.mark.parametrize("trained_layers", [1, 2])
def test_texts_that_it_never_learned_from_find_what_they_go_with(base: BertFiles, trained_layers: int) -> None:
    texts, pairs = world()
    told: list[tuple[float, str]] = []
    options = Options(progress=lambda share, message: told.append((share, message)))
    config = replace(SMALL, trained_layers=trained_layers)
    tuned = fine_tune(texts, pairs, config, options, base)
    assert tuned.gain.after > tuned.gain.before + 0.1
    assert tuned.gain.recall_after > 2 * tuned.gain.recall_before
    assert tuned.gain.share > 0 and tuned.gain.held == 14
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    config_of_it = MinilmConfig(precision="float32", length=64)
    opened = MinilmEncoder.open(tuned.arrays, config_of_it)
    vectors = opened.encode([f"{letter} {word}" for letter in LETTERS for word in ("lantern", "evenings", "sixteen")])
    cosines, same = vectors @ vectors.T, np.arange(24)[:, None] // 3 == np.arange(24) // 3
    assert cosines[same & ~np.eye(24, dtype=bool)].mean() > cosines[~same].mean() + 0.2
    again = fine_tune(texts, pairs, config, Options(), base)
    assert again.gain == tuned.gain
    np.testing.assert_array_equal(again.arrays["graph"], tuned.arrays["graph"])


def test_what_gains_nothing_changes_nothing(base: BertFiles) -> None:
    """Pairs without rhyme or reason: the weights stay, to the bit."""
    texts, _ = world()
    pairs = np.random.default_rng(1).integers(0, 320, (600, 2))
    tuned = fine_tune(texts, pairs, replace(SMALL, epochs=1, learning_rate=1e-9), Options(), base)
    assert tuned.gain.share == 0 and tuned.gain.after == tuned.gain.before
    np.testing.assert_array_equal(tuned.arrays["graph"], minilm.arrays_of(base, SMALL.encoder)["graph"])


def test_one_that_was_interrupted_goes_on_and_ends_as_if_it_never_had_been(
    base: BertFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)
    config, told = replace(SMALL, epochs=4, dropout=0.1), list[str]()

    def stop(epoch: int, value: float) -> None:
        if epoch == 3:
            raise Cancelled()

    with pytest.raises(Cancelled):
        fine_tune(*world(), config, Options(checkpoints=tmp_path, report=stop), base)
    heard = Options(checkpoints=tmp_path, progress=lambda share, message: told.append(message))
    resumed = fine_tune(*world(), config, heard, base)
    whole = fine_tune(*world(), config, Options(), base)
    assert any("going on after epoch 2" in message for message in told)
    assert resumed.gain == whole.gain
    np.testing.assert_array_equal(resumed.arrays["graph"], whole.arrays["graph"])


def test_batches_tell_no_text_from_what_it_goes_with(base: BertFiles) -> None:
    texts, pairs = world()
    known = Known.of(texts, pairs, Tokens(base.tokenizer, 64), seed=0)
    assert not np.isin(known.pairs, known.held).any()
    together = {(texts[a], texts[b]) for pair in pairs.tolist() for a, b in (pair, pair[::-1])}
    text_of = {tuple(Tokens(base.tokenizer, 64).of(text)): text for text in texts}
    batches = list(known.batches(replace(SMALL, pairs=100), np.random.default_rng(0)))
    assert sum(len(batch.asking) for batch in batches) == 200 and len(batches) == 4
    for batch in batches:
        said = [text_of[tuple(known.ids[row])] for row in batch.rows]
        for place, asking in enumerate(batch.asking):
            for other, text in enumerate(said):
                known_pair = said[asking] == text or (said[asking], text) in together
                assert batch.partners[place, other] == known_pair


def test_nothing_to_learn_from(base: BertFiles) -> None:
    with pytest.raises(NoData, match="too few"):
        fine_tune(["lamp", "mug", ""], np.array([[0, 1], [0, 2], [1, 1]]), SMALL, Options(), base)
    with pytest.raises(NoData, match="too few"):
        fine_tune(["lamp"], np.zeros((0, 2), dtype=int), SMALL, Options(), base)


def test_it_can_be_cancelled_and_its_settings_are_checked(base: BertFiles) -> None:
    def stop(share: float, message: str) -> None:
        if share > 0.2:
            raise Cancelled()

    with pytest.raises(Cancelled):
        fine_tune(*world(), SMALL, Options(progress=stop), base)
    with pytest.raises(InvalidConfig, match="temperature"):
        TextTowerConfig(temperature=0)
    with pytest.raises(InvalidConfig, match="trained_layers"):
        TextTowerConfig(trained_layers=0)


def test_files_that_are_missing_or_of_another_size(folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    with pytest.raises(ModelMissing, match=r"config\.json"):
        bert_files.read(tmp_path / "nowhere")
    shutil.copytree(folder, tmp_path / "model")
    told = json.loads((folder / "config.json").read_text())
    for change, complaint in (
        ({"hidden_size": 16}, "has the shape"),
        ({"num_hidden_layers": 3}, "has no encoder.layer.2"),
        ({"num_hidden_layers": 1}, "has 2 layers"),
        ({"model_type": "roberta"}, "only 'bert' is known"),
    ):
        (tmp_path / "model" / "config.json").write_text(json.dumps({**told, **change}))
        with pytest.raises(ModelMissing, match=complaint):
            bert_files.read(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    with pytest.raises(ModelMissing, match="model"):
        bert_files.read(tmp_path / "model")
