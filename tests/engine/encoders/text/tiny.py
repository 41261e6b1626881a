"""Real models, made in a second: two layers, 32 wide, with a tokenizer of the test texts' words and letters.

Not trained: tokenizers' trainers settle ties by chance.
"""

import json
from pathlib import Path

from recommender.engine.encoders.text.words import words
from tests.engine.encoders.text.contract import TEXTS


def bert(folder: Path, layers: int = 2, seed: int = 0) -> Path:
    """A BertModel and a WordPiece tokenizer, as `save_pretrained` writes them."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    known = sorted({word for text in TEXTS for word in words(text)})
    letters = sorted(set("".join(TEXTS).lower()) - {" "})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *known, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: row for row, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    _describe(folder, {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"})
    return folder


def gpt(folder: Path) -> Path:
    """A GPT2Model and a byte-level tokenizer of single bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model

    signs = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({sign: row for row, sign in enumerate(signs)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.decoder = decoders.ByteLevel()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=64,
        bos_token_id=0,
        eos_token_id=0,
        initializer_range=0.2,
    )
    GPT2Model(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    _describe(folder, {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"})
    return folder


def _describe(folder: Path, marks: dict[str, str]) -> None:
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
