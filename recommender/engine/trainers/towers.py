"""The two towers as a torch module, for `two_tower` to train; answers need none of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AGES = 16  # kinds of age a history tells apart: 0, 1 to 2, 3 to 6, 7 to 14 distinct later items, and so on


class Towers(nn.Module):
    """Items: unit(E_i + W f_i). Users: unit(h + MLP(h)), h a weighted mean of their items' vectors."""

    def __init__(self, items: int, features: int, factors: int, hidden: int) -> None:
        super().__init__()
        self.ids = nn.Embedding(items, factors)
        nn.init.normal_(self.ids.weight, std=0.1)
        self.features = nn.Linear(features, factors, bias=False) if features else None
        self.attention = nn.Linear(factors, 1, bias=False)
        nn.init.zeros_(self.attention.weight)
        self.recency = nn.Parameter(torch.zeros(AGES))
        self.inner, self.outer = nn.Linear(factors, hidden), nn.Linear(hidden, factors)
        nn.init.zeros_(self.outer.weight)  # so that at first a user is the mean of their items
        nn.init.zeros_(self.outer.bias)

    def items(self, rows: Tensor, with_id: Tensor, features: Tensor | None) -> Tensor:
        """Vectors (K, D) of items int64 (K,), their own part only where `with_id` (K,); `features` (K, F)."""
        found = self.ids(rows) * with_id[:, None]
        if self.features is not None:
            found = found + self.features(features)
        return F.normalize(found.float(), dim=-1)

    def users(self, vectors: Tensor, real: Tensor, ages: Tensor) -> Tensor:
        """Vectors (B, D) of histories: `vectors` (B, L, D), `real` (B, L), `ages` int64 (L,), see AGES."""
        logits = self.attention(vectors)[..., 0].float() + self.recency[ages]
        shares = torch.softmax(logits.masked_fill(~real, -float("inf")), dim=-1)
        mean = (shares[..., None] * vectors).sum(dim=1)
        return F.normalize((mean + self.outer(torch.relu(self.inner(mean)))).float(), dim=-1)
