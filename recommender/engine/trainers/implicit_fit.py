"""What `als`, `bpr` and `lmf` share: a model of `implicit`, fitted with our progress and our errors."""

from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.engine.errors import NotFinite
from recommender.engine.trainers import Options

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def learn(
    model: Any, matrix: "csr_matrix", iterations: int, options: Options, *, word: str, mend: str, done: float = 1.0
) -> None:
    """Fit `model` to `matrix` (U, N); progress says "`word` 3 of 15" and rises to `done`.

    Raises NotFinite, whose advice is `mend`, and what progress raises.
    """
    from implicit.recommender_base import ModelFitError

    def told(iteration: int, *_: Any) -> None:
        options.progress(done * (iteration + 1) / iterations, f"{word} {iteration + 1} of {iterations}")

    try:
        model.fit(matrix, show_progress=False, callback=told)
    except ModelFitError as error:
        raise NotFinite(mend) from error
    if not (np.isfinite(model.item_factors).all() and np.isfinite(model.user_factors).all()):
        raise NotFinite(mend)
