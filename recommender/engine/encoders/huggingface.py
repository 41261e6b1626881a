"""Hugging Face models, by local path or hub id, as ONNX graphs. Needs transformers (requirements-extras.txt), in a
worker only.

Nothing is downloaded and no code of the model's own is run: a hub id works where `huggingface-cli download` put it
before, and weights are read from safetensors only.
"""

import io
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import ModelMissing, NotFinite, TooLarge

if TYPE_CHECKING:
    from torch import Tensor, nn

OPSET = 17
MAX_BYTES = 1_900_000_000  # of weights; a graph with its weights in one file ends at 2 GiB
OPTIONAL = r"(^|\.)pooler\."  # layers that a model may come without, because nobody here looks at what they say


def load(kind: str, name: str, optional: str = OPTIONAL, **settings: Any) -> "nn.Module":
    """The model `name`, in eval mode, float32, with eager attention; `kind` is a class of transformers ("AutoModel",
    "CLIPModel"...).

    `optional` is a pattern of the weights that may be missing. Raises ModelMissing, also where the folder's weights are
    of other sizes than its config says, or some are missing; NotFinite; TooLarge.
    """
    with _reading(name) as transformers:
        import torch

        found = getattr(transformers, kind).from_pretrained(
            name,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
            output_loading_info=True,
            **settings,
        )
        model, told = found
    if missing := [key for key in sorted(told["missing_keys"]) if not re.search(optional, key)]:
        raise ModelMissing(f"{name} lacks the weights {', '.join(missing[:3])}{' ...' * (len(missing) > 3)}.")
    size = sum(weight.numel() * 4 for weight in model.parameters())
    if size > MAX_BYTES:
        raise TooLarge(f"{name} has {size / 1e9:.1f} GB of weights; up to {MAX_BYTES / 1e9:.1f} GB can be used.")
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise NotFinite(f"{name} has weights that are not numbers.")
    module: nn.Module = model.eval()
    return module


def config(name: str) -> Any:
    """The model's config. Raises ModelMissing."""
    with _reading(name) as transformers:
        return transformers.AutoConfig.from_pretrained(name, local_files_only=True, trust_remote_code=False)


def processor(kind: str, name: str, **settings: Any) -> Any:
    """What prepares the model's input: `kind` is "AutoTokenizer", "AutoImageProcessor"... Raises ModelMissing."""
    with _reading(name) as transformers:
        return getattr(transformers, kind).from_pretrained(
            name, local_files_only=True, trust_remote_code=False, **settings
        )


def tokenizer(name: str) -> tuple[NDArray[np.uint8], int]:
    """The model's tokenizer.json, uint8, and how many tokens it takes at most. Raises ModelMissing."""
    found = processor("AutoTokenizer", name)
    if not getattr(found, "is_fast", False):
        raise ModelMissing(f"{name} has no tokenizer.json, and none can be made of what it has.")
    text: str = found.backend_tokenizer.to_str()
    return np.frombuffer(text.encode(), dtype=np.uint8), int(min(found.model_max_length, 2**31))


def export(
    module: "nn.Module",
    inputs: Mapping[str, "Tensor"],
    axes: Mapping[str, Sequence[str | None]],
    output: str = "vectors",
) -> NDArray[np.uint8]:
    """`module(*inputs)`, which gives one tensor (B, D), as the bytes of a graph, uint8 (size,).

    `inputs` are examples by name, in the order that forward takes them; `axes` name those of each input's axes that may
    vary ("B" for the first), None for the others. What tracing cannot see is fixed by the example: show masks that
    mask. The same module gives the same bytes.
    """
    import onnx
    import torch

    module.eval()
    with torch.no_grad():
        dimension = module(*inputs.values()).shape[1]
    shapes = {name: {place: axis for place, axis in enumerate(own) if axis} for name, own in axes.items()}
    file: Any = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of what tracing fixes; and that it is to go, while its successor is no match
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={**shapes, output: {0: "B"}},
        )
    graph = onnx.load_model_from_string(file.getvalue())
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = dimension  # tracing loses it now and then
    return np.frombuffer(graph.SerializeToString(), dtype=np.uint8)


@contextmanager
def _reading(name: str) -> Iterator[Any]:
    """transformers, with what goes wrong while reading a model as ModelMissing, and without its notes to developers."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read once, when it is first imported
    try:
        import transformers
    except ImportError as error:
        raise ModelMissing("It needs transformers: pip install -r requirements-extras.txt") from error
    if not name:
        raise ModelMissing("Set `model` to a folder with a model, or to the hub id of one that was downloaded before.")
    told: Any = transformers.logging
    verbosity, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity(told.CRITICAL)
    told.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield transformers
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a folder of any content makes transformers stumble over
        raise ModelMissing(f"{name}: {_told(error)}") from error
    finally:
        told.set_verbosity(verbosity)
        if bars:
            told.enable_progress_bar()


def _told(error: Exception) -> str:
    """The first sentence of what transformers says, which goes on at length about downloads."""
    first = str(error).strip().split("\n", 1)[0]
    return first[:300] or type(error).__name__
