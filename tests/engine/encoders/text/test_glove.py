import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.encoders import make_config
from recommender.engine.encoders.text.glove import GloveEncoder, read
from recommender.engine.encoders.text.words import words
from recommender.engine.errors import ModelMissing, Unreadable
from recommender.engine.options import Options
from tests.engine.encoders.text.contract import TEXTS, TextContract


def glove(path: Path, header: bool = False) -> Path:
    """A file of word vectors for every word of the test's texts, punctuation and a phrase among them."""
    rng = np.random.default_rng(0)
    known = [",", ".", *dict.fromkeys(word for text in TEXTS for word in words(text)), ". . .", "children"]
    lines = [f"{word} {' '.join(f'{number:.4f}' for number in rng.normal(size=12))}" for word in known]
    path.write_text("\n".join([f"{len(lines)} 12"] * header + lines) + "\n", encoding="utf-8")
    return path


class TestGlove(TextContract):
    name = "glove"

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        return {"path": str(glove(tmp_path_factory.mktemp("glove") / "vectors.txt"))}


def test_a_header_and_packing_change_nothing(tmp_path: Path) -> None:
    plain = read(glove(tmp_path / "a.txt"), 1000, Options())
    headed = read(glove(tmp_path / "b.vec", header=True), 1000, Options())
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress((tmp_path / "a.txt").read_bytes()))
    packed = read(tmp_path / "c.txt.gz", 1000, Options())
    for other in (headed, packed):
        assert other[0] == plain[0]
        np.testing.assert_array_equal(other[1], plain[1])
        np.testing.assert_array_equal(other[2], plain[2])
    assert plain[0][0] == "a" and "," not in plain[0] and plain[2][0] == 3


def test_the_first_words_are_kept_and_the_first_spelling(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("Apple 1 0\napple 0 1\npear 1 1\nplum 0 2\n")
    found, vectors, places = read(tmp_path / "v.txt", 2, Options())
    assert found == ["apple", "pear"]
    np.testing.assert_array_equal(vectors, [[1, 0], [1, 1]])
    np.testing.assert_array_equal(places, [1, 3])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"apple 1 2\npear 1\n", r"line 2: a word and 2 numbers"),
        (b"apple 1 2\npear 1 x\n", r"line 2: could not convert"),
        (b"apple 1 2\npear nan 1\n", r"line 2: a number is infinite or none"),
        (b"3 2\napple 1 2\npear 1e99 1\n", r"line 3: a number is infinite or none"),
        (b"apple 1 2\n\xff\xfe 1 2\n", r"line 2: not UTF-8"),
        (b"apple\n", r"line 1: a word and its numbers"),
        (b"", r"holds no words"),
        (b"2 2\n, 1 2\n. 1 2\n", r"holds no words"),
        (b"apple 1 2\n\npear 1 2\n", r"line 2: a word and 2 numbers"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "v.txt").write_bytes(content)
    config = make_config("text", "glove", {"path": str(tmp_path / "v.txt")})
    with pytest.raises(Unreadable, match=complaint):
        GloveEncoder.fit([], config, Options())


def test_a_file_that_is_not_there_or_not_whole(tmp_path: Path) -> None:
    def fit(path: str) -> None:
        GloveEncoder.fit([], make_config("text", "glove", {"path": path}), Options())

    with pytest.raises(ModelMissing, match="Set `path`"):
        fit("")
    with pytest.raises(ModelMissing, match="No such file"):
        fit(str(tmp_path / "none.txt"))
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(b"apple 1 2\n" * 1000)[:-20])
    with pytest.raises(Unreadable, match=r"v\.txt\.gz, after line"):
        fit(str(tmp_path / "v.txt.gz"))
    (tmp_path / "w.txt.gz").write_bytes(b"apple 1 2\n")
    with pytest.raises(Unreadable, match="gzip"):
        fit(str(tmp_path / "w.txt.gz"))
