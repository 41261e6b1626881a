"""What every encoder promises. An encoder's own test file subclasses this and gives its modality, name and inputs."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from recommender.engine.encoders import Arrays, Opened, encoder, make_config
from recommender.engine.errors import Cancelled, InvalidConfig
from recommender.engine.options import Options

WEB_MAY_NOT_LOAD = ("torch", "implicit", "gensim", "transformers", "sklearn", "pandas", "scipy", "librosa")


class EncoderContract:
    modality: ClassVar[str]
    name: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> dict[str, Any]:
        """Settings small enough for a test; may make a tiny real model on disk."""
        return {}

    @pytest.fixture(scope="class")
    @classmethod
    def inputs(cls) -> Sequence[Any]:
        """At least five different inputs that say something."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def silent(cls) -> Sequence[Any]:
        """Inputs that say nothing."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def arrays(cls, inputs: Sequence[Any], config: dict[str, Any]) -> Arrays:
        kind = encoder(cls.modality, cls.name)
        return kind.fit(inputs, make_config(cls.modality, cls.name, config), Options())

    @pytest.fixture(scope="class")
    @classmethod
    def opened(cls, arrays: Arrays, config: dict[str, Any]) -> Opened:
        return encoder(cls.modality, cls.name).open(arrays, make_config(cls.modality, cls.name, config))

    @pytest.fixture(scope="class")
    @classmethod
    def vectors(cls, opened: Opened, inputs: Sequence[Any]) -> np.ndarray:
        return opened.encode(inputs)

    def test_is_registered_under_its_modality(self) -> None:
        assert encoder(self.modality, self.name).modality == self.modality

    def test_shape_dtype_finite_and_of_length_one(
        self, opened: Opened, vectors: np.ndarray, inputs: Sequence[Any]
    ) -> None:
        assert vectors.shape == (len(inputs), opened.dimension)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)

    def test_different_inputs_differ(self, vectors: np.ndarray) -> None:
        cosines = vectors @ vectors.T
        assert (cosines[~np.eye(len(vectors), dtype=bool)] < 0.9999).all()

    def test_batch_equals_single(self, opened: Opened, vectors: np.ndarray, inputs: Sequence[Any]) -> None:
        single = np.concatenate([opened.encode([one]) for one in inputs])
        np.testing.assert_allclose(vectors, single, atol=2e-4)

    def test_nothing_in_nothing_out(self, opened: Opened, silent: Sequence[Any]) -> None:
        found = opened.encode(silent)
        assert found.shape == (len(silent), opened.dimension)
        assert not found.any()
        assert opened.encode([]).shape == (0, opened.dimension)

    def test_the_same_fit_gives_the_same_bytes(
        self, arrays: Arrays, inputs: Sequence[Any], config: dict[str, Any]
    ) -> None:
        kind = encoder(self.modality, self.name)
        again = kind.fit(inputs, make_config(self.modality, self.name, config), Options())
        assert set(again) == set(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(again[key], array)

    def test_another_process_without_torch_gives_the_same_vectors(
        self, arrays: Arrays, config: dict[str, Any], vectors: np.ndarray, inputs: Sequence[Any], tmp_path: Path
    ) -> None:
        for key, array in arrays.items():
            (tmp_path / f"{key.replace('/', '.')}.npy").parent.mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / f"{key.replace('/', '.')}.npy", array, allow_pickle=False)
        if self.modality == "text":
            (tmp_path / "inputs.json").write_text(json.dumps(list(inputs)))
        else:
            np.savez(tmp_path / "inputs.npz", *inputs)
        script = f"""
import json, sys
from pathlib import Path
import numpy as np
from recommender.engine.encoders import encoder, make_config
folder = Path({str(tmp_path)!r})
arrays = {{p.stem.replace(".", "/"): np.load(p, mmap_mode="r") for p in folder.glob("*.npy")}}
if (folder / "inputs.json").exists():
    inputs = json.loads((folder / "inputs.json").read_text())
else:
    stored = np.load(folder / "inputs.npz")
    inputs = [stored[name] for name in stored.files]
config = make_config({self.modality!r}, {self.name!r}, json.loads({json.dumps(json.dumps(config))}))
found = encoder({self.modality!r}, {self.name!r}).open(arrays, config).encode(inputs)
loaded = [name for name in {WEB_MAY_NOT_LOAD!r} if name in sys.modules]
assert not loaded, loaded
np.save(folder / "found.npy", found)
"""
        environment = {**os.environ, "PYTHONHASHSEED": "7"}
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        assert ended.returncode == 0, ended.stderr
        np.testing.assert_allclose(np.load(tmp_path / "found.npy"), vectors, atol=1e-5)

    def test_an_unknown_setting_is_named(self) -> None:
        with pytest.raises(InvalidConfig, match="no_such_setting"):
            make_config(self.modality, self.name, {"no_such_setting": 1})

    def test_progress_can_cancel(self, inputs: Sequence[Any], config: dict[str, Any]) -> None:
        def stop(share: float, message: str) -> None:
            raise Cancelled()

        made = make_config(self.modality, self.name, config)
        with pytest.raises(Cancelled):
            encoder(self.modality, self.name).fit(inputs, made, Options(progress=stop))
