import numpy as np
import pytest
import torch
from torch import nn

from recommender.engine.errors import Cancelled, InvalidConfig
from recommender.engine.opinion.reader import Reader, ReaderConfig, Texts, learn, scores
from recommender.engine.options import Options

WORDS, WIDTH, GOOD, BAD = 20, 16, 1, 2


class Tiny(nn.Module):
    """Word vectors and two layers that look at each word alone."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(2))

    def lower(self, ids, mask):
        return self.words(ids)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, mask):
        assert mask.dtype == torch.bool
        return x + torch.tanh(self.linear(x))


def texts(count=120, seed=0):
    """Plain words, and one that tells."""
    random = np.random.default_rng(seed)
    liked = random.random(count) < 0.5
    ids = []
    for good in liked:
        own = random.integers(3, WORDS, random.integers(1, 9)).tolist()
        own.insert(int(random.integers(0, len(own) + 1)), GOOD if good else BAD)
        ids.append(own)
    return Texts(ids, liked)


def tiny():
    torch.manual_seed(1)
    return Tiny()


SMALL = {"epochs": 5, "learning_rate": 0.01, "width": 16, "heads": 2, "dropout": 0.0, "batch": 16}


def read(config=None, members=1, bert=None, **options):
    bert = bert or tiny()
    config = ReaderConfig(**{**SMALL, **(config or {})})
    return learn(bert, WIDTH, texts(), texts(40, 1), config, Options(device="cpu", **options), members)


def test_the_word_that_tells_is_found_wherever_it_stands():
    asked = texts(60, 2)
    (reader,) = read()
    found = scores([reader], asked.ids, Options(device="cpu"))
    assert ((found > 0) == asked.liked).mean() > 0.95
    single = np.concatenate([scores([reader], [one], Options(device="cpu")) for one in asked.ids])
    np.testing.assert_allclose(found, single, atol=1e-4)


def test_the_language_model_stays_as_it_is_unless_it_is_tuned():
    before = {name: weight.clone() for name, weight in tiny().state_dict().items()}
    for tuned, same in ((0, True), (2, False)):
        bert = tiny()
        (reader,) = read({"tuned_epochs": tuned, "tuned_rate": 0.01}, bert=bert, members=3 if tuned else 1)
        assert all(torch.equal(weight, before[name]) for name, weight in bert.state_dict().items()) is same
        asked = texts(60, 2)
        assert ((scores([reader], asked.ids, Options(device="cpu")) > 0) == asked.liked).mean() > 0.9


def test_members_differ_and_the_same_seed_gives_the_same():
    first, second = read(members=2), read(members=2)
    asked = texts(10, 3).ids
    one, other = (scores([reader], asked, Options(device="cpu")) for reader in first)
    assert not np.allclose(one, other)
    np.testing.assert_allclose(scores(first, asked, Options(device="cpu")), (one + other) / 2, atol=1e-5)
    np.testing.assert_array_equal(one, scores(second[:1], asked, Options(device="cpu")))


def test_progress_rises_and_can_cancel():
    told = []
    read({"tuned_epochs": 1}, progress=lambda share, message: told.append(share))
    assert told == sorted(told) and told[-1] == 1.0

    def stop(share, message):
        raise Cancelled()

    with pytest.raises(Cancelled):
        read(progress=stop)


def test_padding_says_nothing():
    reader = Reader(tiny(), WIDTH, ReaderConfig(**SMALL)).eval()
    ids = torch.tensor([[1, 5, 0, 0], [2, 3, 4, 5]])
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    assert torch.allclose(reader(ids, mask)[:1], reader(ids[:1, :2], mask[:1, :2]), atol=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"width": 10, "heads": 4}, {"dropout": 1.0}, {"batch": 0}, {"tuned_epochs": -1}, {"tuned_rate": 0.0}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(InvalidConfig):
        ReaderConfig(**wrong)
