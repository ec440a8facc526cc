"""The pixels of a sound JPEG, straight to where they shall be. The one owner of simplejpeg, which is libjpeg-turbo.

Pillow, which reads all headers, decodes JPEG with the same library to the same pixels; but through memory of its own,
four bytes a pixel, which are copied three times before they are where they shall be.
"""

from __future__ import annotations

import numpy as np
import simplejpeg

from daemon.records import Bytes


def draw(photo: memoryview, stored: Bytes) -> bool:
    """Write the pixels as stored.

    Args:
        photo: the photo's bytes; grey or in three colours: what four mean differs between libraries.
        stored: where they go, uint8 (height, width, 3), 0..255, RGB, in any order in memory; of the photo's size, or 2,
            4 or 8 times smaller, rounded up.

    Returns:
        Whether they are there: not for a photo with the least fault.
    """
    height, width, _ = stored.shape
    straight = stored if stored.flags.c_contiguous else np.empty(stored.shape, np.uint8)
    try:
        drawn = simplejpeg.decode_jpeg(photo, "RGB", min_height=height, min_width=width, buffer=straight)
    except (ValueError, RuntimeError):  # RuntimeError: no memory for its decoder
        return False
    if drawn.shape != stored.shape:
        return False
    if straight is not stored:
        stored[...] = straight
    return True
