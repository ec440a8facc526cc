"""Step 7, compare: how alike two faces are, on the network's own scale."""

from __future__ import annotations

import numpy as np

from daemon.records import Portrait


def compare(first: Portrait, second: Portrait) -> float:
    """The comparison score: cosine of the two embeddings, -1 to 1, the same number in either order.

    Summed in double precision; a product of two numbers does not depend on their order, nor does this sum.
    """
    score = float(np.dot(first.embedding.astype(np.float64), second.embedding.astype(np.float64)))
    return min(1.0, max(-1.0, score))
