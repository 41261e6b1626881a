"""Texts through a tokenizer and an ONNX graph: what minilm, bert and gpt are, once they are open."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit
from recommender.engine.encoders.text.words import clean, words
from recommender.engine.learning.onnx import Network

BATCH_TOKENS = 256  # looked at in one run: what flows between layers stays in the processor's cache
LONGEST_TOKEN = 20  # characters; a text is cut at so many times its number of tokens before it is looked at closely


class Tokens:
    """A tokenizer.json, uint8, that gives up to `length` tokens of a text."""

    def __init__(self, tokenizer: NDArray[np.uint8], length: int) -> None:
        from tokenizers import Tokenizer

        self.length = length
        self.tokenizer = Tokenizer.from_str(tokenizer.tobytes().decode())
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(length)
        self.tokenizer.encode_special_tokens = True  # a text that holds "[SEP]" or "<|endoftext|>" ends nothing by it
        unknown = getattr(self.tokenizer.model, "unk_token", None)
        silent = {self.tokenizer.token_to_id(unknown)} if unknown else set()
        self.silent = silent | set(self.tokenizer.encode("").ids)

    def of(self, text: str) -> list[int]:
        """None where the text says nothing, or nothing that the model knows."""
        if not words(text[: self.length * LONGEST_TOKEN]) and not words(text):
            return []
        plain = " ".join(clean(text).split())[: self.length * LONGEST_TOKEN]
        # One by one: encode_batch starts threads, which a forked worker does not survive.
        ids: list[int] = self.tokenizer.encode(plain).ids
        return [] if self.silent.issuperset(ids) else ids


class TokenGraph:
    """Thread-safe. Each text's vector depends on that text alone: padding is masked, and every graph rounds by token.

    `graph` takes `ids` and `mask` int64 (B, L) and gives float32 (B, D).
    """

    def __init__(self, graph: NDArray[np.uint8], tokenizer: NDArray[np.uint8], length: int) -> None:
        self.network = Network(graph)
        self.dimension = int(self.network.session.get_outputs()[0].shape[1])
        self.tokens = Tokens(tokenizer, length)

    def encode(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        ids = [self.tokens.of(text) for text in inputs]
        for rows in batches(ids):
            found[rows] = self.network(**padded([ids[row] for row in rows]))
        return unit(found)


def padded(ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.int64]]:
    """`ids` and `mask` int64 (B, L), L the longest; behind a shorter one's last both are 0."""
    tokens = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
    mask = np.zeros_like(tokens)
    for row, own in enumerate(ids):
        tokens[row, : len(own)], mask[row, : len(own)] = own, 1
    return {"ids": tokens, "mask": mask}


def batches(ids: Sequence[Sequence[int]], size: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Rows of about `size` tokens, the longest first and each beside its like, so that little is padding; rows without
    a token are in none.
    """
    order = sorted((row for row in range(len(ids)) if ids[row]), key=lambda row: -len(ids[row]))
    start = 0
    while start < len(order):
        count = max(1, size // len(ids[order[start]]))
        yield order[start : start + count]
        start += count
