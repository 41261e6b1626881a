"""A BERT model's folder as Hugging Face writes it: config.json, model.safetensors, tokenizer.json. No transformers."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.engine.encoders.text.bert_graph import Shape, Weights, layers_of
from recommender.engine.errors import ModelMissing

EXPECTED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


@dataclass(frozen=True)
class BertFiles:
    weights: Weights
    """float32, by BertModel's names; what is not part of the encoder is left out."""
    shape: Shape
    tokenizer: NDArray[np.uint8]
    """tokenizer.json."""


def read(folder: Path) -> BertFiles:
    """Raises ModelMissing where a file is not there, cannot be read, or is of another architecture."""
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / "config.json").read_text())
        tokenizer = (folder / "tokenizer.json").read_bytes()
        with safe_open(folder / "model.safetensors", "np") as file:
            weights = {
                name.removeprefix("bert."): file.get_tensor(name).astype(np.float32)
                for name in file.keys()  # noqa: SIM118  not a mapping
                if name.removeprefix("bert.").startswith(("embeddings.", "encoder.layer."))
                and not name.endswith("position_ids")
            }
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise ModelMissing(f"{folder}: {error}.") from error
    for key, value in EXPECTED.items():
        if config.get(key, value) != value:
            raise ModelMissing(f"{folder}: {key} is {config[key]!r}, and only {value!r} is known.")
    try:
        shape = Shape(config["num_attention_heads"], config["layer_norm_eps"])
        _check(weights, config)
    except KeyError as error:
        raise ModelMissing(f"{folder} has no {error.args[0]}.") from error
    except ValueError as error:
        raise ModelMissing(f"{folder}: {error}.") from error
    return BertFiles(weights, shape, np.frombuffer(tokenizer, dtype=np.uint8))


def _check(weights: Weights, config: dict[str, int]) -> None:
    """Raises KeyError where something is missing, ValueError where it is of another size than the config says."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    expected = {"embeddings.word_embeddings.weight": (config["vocab_size"], width)}
    expected["embeddings.position_embeddings.weight"] = (config["max_position_embeddings"], width)
    expected["embeddings.token_type_embeddings.weight"] = (config["type_vocab_size"], width)
    linear = {f"attention.self.{part}": (width, width) for part in ("query", "key", "value")}
    linear |= {"attention.output.dense": (width, width), "intermediate.dense": (inner, width)}
    linear |= {"output.dense": (width, inner)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(config["num_hidden_layers"]):
        norms += [f"encoder.layer.{layer}.{part}.LayerNorm" for part in ("attention.output", "output")]
        for name, size in linear.items():
            expected[f"encoder.layer.{layer}.{name}.weight"] = size
            expected[f"encoder.layer.{layer}.{name}.bias"] = size[:1]  # type: ignore[assignment]
    for name in norms:
        expected[f"{name}.weight"] = expected[f"{name}.bias"] = (width,)  # type: ignore[assignment]
    for name, size in expected.items():
        if weights[name].shape != size:
            raise ValueError(f"{name} has the shape {weights[name].shape}, and the config says {size}")
    if layers_of(weights) != config["num_hidden_layers"]:
        raise ValueError(f"has {layers_of(weights)} layers, and the config says {config['num_hidden_layers']}")
