"""Step 6, quality: a refusal where eyes, nose or mouth are covered."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.errors import FaceOccluded
from daemon.records import Portrait


class OcclusionGate:
    """Step 6 of the pipeline.

    The thresholds come from the recognition network's manifest, where their error rates stand beside them.
    """

    def __init__(self, min_visible: Mapping[str, float]) -> None:
        self._min_visible = dict(min_visible)

    def check(self, portrait: Portrait) -> None:
        """Let a face pass, or not.

        Raises:
            FaceOccluded: a region shows less of itself than it must; the text names the region.
        """
        covered = [region for region, least in self._min_visible.items() if portrait.visible[region] < least]
        if covered:
            raise FaceOccluded(f"covered: {', '.join(covered)}")
