"""A BERT encoder in torch, of the same weights as bert_graph's graph: what fine-tuning changes."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recommender.engine.encoders.text.bert_files import BertFiles
from recommender.engine.encoders.text.bert_graph import Shape, Weights, layers_of

LINEAR = (
    *("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    *("intermediate.dense", "output.dense"),
)
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")


class Layer(nn.Module):
    """Attention and a wider layer, each added to what came in and normalised (Devlin et al. 2019)."""

    def __init__(self, width: int, inner: int, shape: Shape, dropout: float) -> None:
        super().__init__()
        sizes = [(width, width)] * 4 + [(width, inner), (inner, width)]
        self.linear = nn.ModuleList(nn.Linear(*size) for size in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(width, shape.epsilon) for _ in NORMS)
        self.heads, self.dropout = shape.heads, nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, L, D); mask bool (B, L), true where there is a token."""
        query, key, value, heard, inner, outer = self.linear
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = self.norms[0](x + self.dropout(heard(attended.transpose(1, 2).flatten(2))))
        found: Tensor = self.norms[1](x + self.dropout(outer(F.gelu(inner(x)))))
        return found


class Bert(nn.Module):
    """`forward` gives what the graph gives. `lower` and `upper` are its two parts: the layers that do not learn, whose
    answers may be kept, and those that do.
    """

    def __init__(self, model: BertFiles, dropout: float = 0.0, trained_layers: int | None = None) -> None:
        """`trained_layers` are the last ones, which learn; None or all of them: the words' vectors learn too."""
        super().__init__()
        weights, layers = model.weights, layers_of(model.weights)
        self.width = width = len(weights["embeddings.LayerNorm.bias"])
        inner = len(weights["encoder.layer.0.intermediate.dense.bias"])
        self.embeddings = nn.ModuleList(
            [nn.Embedding(*weights[f"embeddings.{name}.weight"].shape) for name in EMBEDDINGS[:3]]
        )
        self.embeddings.append(nn.LayerNorm(width, model.shape.epsilon))
        self.layers = nn.ModuleList(Layer(width, inner, model.shape, dropout) for _ in range(layers))
        with torch.no_grad():
            for name, parameter in self._named():
                parameter.copy_(torch.from_numpy(np.array(weights[name])))
        self.fixed = 0 if trained_layers is None else max(0, layers - trained_layers)
        if self.fixed:
            for part in (self.embeddings, *self.layers[: self.fixed]):
                part.requires_grad_(False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask int64 (B, L) to (B, D), of length 1."""
        return F.normalize(self.upper(self.lower(ids, mask), mask), dim=-1)

    def lower(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, L, D): what leaves the layers that are not trained."""
        words, places, kinds, norm = self.embeddings
        order = torch.arange(ids.shape[1], device=ids.device)
        x: Tensor = norm(words(ids) + places(order) + kinds(torch.zeros_like(order)))
        for layer in self.layers[: self.fixed]:
            x = layer(x, mask.bool())
        return x

    def upper(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, D): the mean of the tokens' vectors after the layers that are trained, not yet of length 1."""
        for layer in self.layers[self.fixed :]:
            x = layer(x, mask.bool())
        shares = mask.unsqueeze(-1).to(x.dtype)
        return (x * shares).sum(dim=1) / shares.sum(dim=1)

    def weights(self) -> Weights:
        """As BertFiles has them."""
        return {name: parameter.detach().float().cpu().numpy().copy() for name, parameter in self._named()}

    def _named(self) -> Sequence[tuple[str, nn.Parameter]]:
        """Every parameter under Hugging Face's name for it."""
        parts: list[tuple[str, nn.Module]] = list(zip(EMBEDDINGS, self.embeddings, strict=True))
        parts = [(f"embeddings.{name}", part) for name, part in parts]
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            own = zip((*LINEAR, *NORMS), (*layer.linear, *layer.norms), strict=True)
            parts += [(f"encoder.layer.{number}.{name}", part) for name, part in own]
        return [(f"{name}.{kind}", value) for name, part in parts for kind, value in part.named_parameters()]
