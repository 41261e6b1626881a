"""The pictures of docs/embeddings.md, drawn from what its own examples find.

python -m tests.benchmarks.embeddings_pictures
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np

from tests.test_embeddings_guide import PAGE, blocks, run

matplotlib.use("svg")
from matplotlib import pyplot as plt

FOLDER = PAGE.parent / "images" / "embeddings"
INK, COLOURS = "#24343d", ("#2f6690", "#e4572e", "#2a9d8f", "#8b8f94")
STYLE = {
    "svg.fonttype": "path", "svg.hashsalt": "recsite", "image.interpolation": "none",
    "font.family": "sans-serif", "font.size": 11,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK,
    "axes.titlesize": 12, "figure.facecolor": "white", "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip
NUMBERED = 6  # rows of a heat map up to which each cell says its number

Names = dict[str, Any]
PICTURES: dict[str, Callable[[Names], Any]] = {}


def picture(draw: Callable[[Names], Any]) -> Callable[[Names], Any]:
    """Have `draw` make the picture that is called as it is, from the examples' names."""
    PICTURES[draw.__name__] = draw
    return draw


def heat(axes: Any, vectors: np.ndarray, labels: Sequence[str], title: str) -> Any:
    """Cosines of vectors (N, D); labels of which several follow one another are said once."""
    cosines = vectors @ vectors.T
    image = axes.imshow(cosines, cmap="RdBu_r", vmin=-1, vmax=1)
    starts = [row for row in range(len(labels)) if not row or labels[row] != labels[row - 1]]
    ends = [*starts[1:], len(labels)]
    places = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    texts = [labels[row] for row in starts]
    axes.set_xticks(places, texts, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, texts)
    axes.set_title(title)
    axes.spines[:].set_visible(False)
    if len(labels) <= NUMBERED:
        for row, column in np.ndindex(cosines.shape):
            light = abs(cosines[row, column]) > 0.6
            axes.text(
                column, row, f"{cosines[row, column]:.2f}", ha="center", va="center", color="white" if light else INK
            )
    return image


def heats(title: str, *parts: tuple[str, np.ndarray, Sequence[str]]) -> Any:
    figure, places = plt.subplots(
        1, len(parts), figsize=(0.6 + 4.6 * len(parts), 4.2), layout="constrained", squeeze=False
    )
    for axes, (name, vectors, labels) in zip(places[0], parts, strict=True):
        image = heat(axes, vectors, labels, name)
    figure.colorbar(image, ax=places[0].tolist(), label="cosine", shrink=0.8)
    figure.suptitle(title)
    return figure


def axes_of(title: str, across: str, up: str, size: tuple[float, float] = (7, 3.6)) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    axes.set(title=title, xlabel=across, ylabel=up)
    return figure, axes


def bars(title: str, across: str, labels: Sequence[str], values: Sequence[float], form: str = "{:.2f}") -> Any:
    figure, axes = axes_of(title, across, "", (7, 1.3 + 0.42 * len(labels)))
    drawn = axes.barh(range(len(labels)), values, color=COLOURS[0])
    axes.bar_label(drawn, [form.format(value) for value in values], padding=3)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.margins(x=0.12)
    return figure


def groups(axes: Any, points: np.ndarray, labels: np.ndarray, called: Sequence[str]) -> None:
    for number, name in enumerate(called):
        axes.scatter(*points[labels == number].T, s=26, color=COLOURS[number], label=name, alpha=0.85, linewidths=0)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


@picture
def words(n: Names) -> Any:
    return heats("Four words by minilm", ("", n["word_vectors"], n["words"]))


@picture
def cleaning(n: Names) -> Any:
    causes = {"kept": n["report"].kept, **n["report"].dropped}
    labels = [cause.split(" (")[0].split(":")[0] for cause in causes]
    return bars("What became of seven invoice lines", "lines", labels, list(causes.values()), "{}")


@picture
def formats(n: Names) -> Any:
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.4), layout="constrained", sharex=True)
    for channel, colour, name in zip(n["stereo"].T, COLOURS, ("left", "right"), strict=False):
        above.plot(np.arange(32) / 8, channel[:32], ".-", color=colour, label=name)
    above.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    below.plot(np.arange(64) / 16, n["sound"][:64], ".-", color=COLOURS[2])
    above.set(title="As recorded: two channels, 8,000 samples a second", ylabel="level")
    below.set(title="As read: one channel, 16,000 samples a second", xlabel="milliseconds", ylabel="level")
    return figure


@picture
def hashing(n: Names) -> Any:
    figure, axes = axes_of("How near to candle", "", "cosine")
    places = np.arange(1, len(n["shop_words"]))
    for shift, name, vectors, colour in ((-0.2, "hashing", n["hashed"], 3), (0.2, "minilm", n["meant"], 0)):
        drawn = axes.bar(places + shift, (vectors @ vectors[0])[1:], 0.38, color=COLOURS[colour], label=name)
        axes.bar_label(drawn, fmt="%.2f", padding=2)
    axes.set_xticks(places, n["shop_words"][1:])
    axes.legend(frameon=False)
    return figure


@picture
def word2vec(n: Names) -> Any:
    figure, axes = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
    image = heat(axes, n["learned"], n["vocabulary"], "Fifteen words after learning from 180 sentences")
    figure.colorbar(image, label="cosine", shrink=0.8)
    return figure


@picture
def glove(n: Names) -> Any:
    return heats("Four words from a file (numbers written by hand)", ("", n["from_file"], n["words"]))


@picture
def bert(n: Names) -> Any:
    short = ["bank, money", "bank, river", "shore, water"]
    return heats(
        "Two readings of bank", ("tiny BERT, untrained", n["by_bert"], short), ("minilm", n["by_minilm"], short)
    )


@picture
def gpt(n: Names) -> Any:
    short = ["bank, money", "bank, river", "shore, water"]
    parts = [(f"{pooling} of the states", found, short) for pooling, found in n["by_gpt"].items()]
    return heats("A tiny GPT, untrained", *parts)


@picture
def resnet(n: Names) -> Any:
    return heats("24 prints by an untrained ResNet", ("", n["by_resnet"], n["kinds"]))


@picture
def vit(n: Names) -> Any:
    return heats("24 prints by an untrained Vision Transformer", ("", n["by_vit"], n["kinds"]))


@picture
def contrastive(n: Names) -> Any:
    return heats("24 prints after contrastive learning", ("", n["by_contrast"], n["kinds"]))


def over_time(title: str, up: str, frames: np.ndarray, unit: str) -> Any:
    figure, axes = axes_of(title, "seconds", up)
    image = axes.imshow(
        frames.T, origin="lower", aspect="auto", cmap="magma", extent=(0, len(frames) / 100, 0, frames.shape[1])
    )
    figure.colorbar(image, label=unit)
    return figure


@picture
def mfcc(n: Names) -> Any:
    return over_time("MFCC of a baroque record, without the loudness", "cepstrum", n["cepstra"][:, 1:], "strength")


@picture
def spectrogram(n: Names) -> Any:
    return over_time("Mel spectrogram of a baroque record", "mel band, low to high", n["mel"][:100], "decibels")


@picture
def wav2vec(n: Names) -> Any:
    return heats("18 records by an untrained Wav2Vec", ("", n["by_wav2vec"], n["named"]))


@picture
def sounds(n: Names) -> Any:
    return heats("18 records after contrastive learning", ("", n["by_views"], n["named"]))


@picture
def sentiment(n: Names) -> Any:
    return bars("How surely a review praises", "probability", n["new"], n["sure"].tolist())


@picture
def clusters(n: Names) -> Any:
    figure, axes = axes_of("Ninety sentences on a map (UMAP), in groups (k-means)", "", "")
    groups(axes, n["points"], n["groups"], n["called"])
    axes.set_xticks([]), axes.set_yticks([])
    return figure


@picture
def outliers(n: Names) -> Any:
    figure, axes = axes_of("Orders that lie near no others (HDBSCAN)", "units, log10", "price, log10")
    orders, labels = n["orders"], n["labels"]
    groups(axes, orders, labels, ["one usual kind", "another"])
    axes.scatter(*orders[labels < 0].T, marker="x", s=70, color=COLOURS[1], label="without a group")
    axes.legend(frameon=False)
    return figure


@picture
def simclr(n: Names) -> Any:
    figure, axes = axes_of("Contrastive loss", "epoch", "loss")
    losses = n["contrast"].losses
    axes.plot(range(1, len(losses) + 1), losses, color=COLOURS[0], linewidth=2)
    axes.axhline(np.log(31), color=COLOURS[3], linestyle="--")
    axes.text(len(losses), np.log(31) + 0.05, "guessing", ha="right")
    axes.set_ylim(0)
    return figure


@picture
def descent(n: Names) -> Any:
    figure, axes = axes_of("Gradient descent on a line of three weights", "epoch", "mean squared error")
    axes.plot(range(1, len(n["losses"]) + 1), n["losses"], "o-", color=COLOURS[0], linewidth=2)
    return figure


@picture
def fine_tuning(n: Names) -> Any:
    values = [n["gain"].before, n["gain"].after]
    return bars("How early titles find those they go with", "NDCG@10, held-out titles", ["before", "after"], values)


@picture
def hyperparameters(n: Names) -> Any:
    figure, axes = axes_of("The same descent with other settings", "epoch", "mean squared error")
    for ((rate, batch), losses), colour in zip(n["tried"].items(), COLOURS, strict=True):
        axes.plot(range(1, len(losses) + 1), losses, "o-", color=colour, label=f"rate {rate}, batch {batch}")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@picture
def search(n: Names) -> Any:
    scores = n["minilm"].encode(["a present for someone who sails"]) @ n["index"].vectors.T
    order = np.argsort(-scores[0])
    return bars(
        "Near to: a present for someone who sails",
        "cosine",
        [n["goods"][row] for row in order],
        scores[0][order].tolist(),
    )


@picture
def keras(n: Names) -> Any:
    return heats("The rows of a Keras Embedding layer", ("", n["own"], n["words"]))


@picture
def matrix(n: Names) -> Any:
    figure, axes = axes_of("Thirty items, two numbers each", "first number", "second number", (6.4, 4.2))
    groups(axes, n["item_vectors"], n["taste"], ["taste 1", "taste 2", "taste 3"])
    axes.set_aspect("equal")
    return figure


def main() -> None:
    found: Names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, about NumPy 2
        for _, code, _ in blocks(PAGE.read_text()):
            run(code, found)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name, draw in PICTURES.items():
            figure = draw(found)
            path = FOLDER / f"{name}.svg"
            figure.savefig(path, facecolor="white", bbox_inches="tight", pad_inches=0.15, metadata={"Date": None})
            plt.close(figure)
            print(f"{path.name} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
