"""Step 2, decode: photo bytes to RGB pixels. The one owner of image decoders (Pillow).

The format is told by content. Limits are checked from the header, before a pixel is decoded. Only the first frame
counts. Alpha is put on white.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError

from daemon.config import ExifOrientation, PhotoLimits
from daemon.errors import InvalidContentLength, InvalidPhotoSize, InvalidPhotoType
from daemon.records import Bytes, Pixels
from daemon.structure import BoundedView, jpeg_scans, scan_marks, tiff_blocks, tiff_pixels

FORMATS = ("JPEG", "BMP", "PNG", "GIF", "TIFF")
"""Source: the contract."""

_DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    OverflowError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    Image.DecompressionBombError,
)
"""What Pillow's plugins raise on damaged files; they have no common class."""

_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's names for grey of 16 bits, by byte order."""

_ORIENTATION = 0x0112
"""EXIF tag. Source: Exif 2.32, section 4.6.4."""

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each orientation asks for. Source: Exif 2.32, section 4.6.4."""

_TURN_BACK = _TURN | {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""Takes it back; the other turns undo themselves."""

_SCANS_MAX = 100
"""Scans of a JPEG: progressive encoders make about ten, and each of 5,000 x 5,000 px may cost 11 ms."""

_COMPRESSION, _JPEG_INSIDE = 259, (6, 7)
"""A TIFF's tag, and its values for JPEG. Source: TIFF 6.0, section 22, and its technical note 2."""

_BLOWN_UP_MAX = 4
"""How many times the largest photo's pixels a TIFF's strips or tiles may hold: small photos have padded tiles."""

_READING_S = 2.0
"""Seconds of work that a photo may take while its file is read: ten times what the largest photo takes."""

# The limits below are checked from the header, so that Pillow's own guess at a bomb only gets in their way.
Image.MAX_IMAGE_PIXELS = None


class PhotoDecoder:
    """Step 2 of the pipeline."""

    def __init__(self, limits: PhotoLimits, clock: Callable[[], float] = time.thread_time) -> None:
        self._limits = limits
        self._clock = clock

    def decode(self, photo: memoryview, auto_rotate: bool) -> Pixels:
        """The first frame's pixels.

        Args:
            photo: the opened photo's bytes.
            auto_rotate: apply the EXIF orientation; the configuration can apply it always.

        Raises:
            InvalidContentLength: no bytes, or too many.
            InvalidPhotoType: not a supported format, damaged, or built to keep the decoder busy.
            InvalidPhotoSize: width or height outside the limits.
        """
        if not 1 <= len(photo) <= self._limits.max_bytes:
            raise InvalidContentLength(f"{len(photo)} bytes; 1 to {self._limits.max_bytes} are allowed")
        turn = auto_rotate or self._limits.exif_orientation is ExifOrientation.ALWAYS
        with _identified(BoundedView(photo, _READING_S, self._clock)) as picture:
            self._check_size(picture)
            self._check_work(picture, photo)
            return Pixels(_rgb(picture, turn))

    def _check_size(self, picture: Image.Image) -> None:
        low, high = self._limits.min_side_px, self._limits.max_side_px
        if not all(low <= side <= high for side in picture.size):
            raise InvalidPhotoSize(f"{picture.width} x {picture.height} px; {low} to {high} px are allowed")

    def _check_work(self, picture: Image.Image, photo: memoryview) -> None:
        """Refuse a file whose decoding would take far more work than its pixels."""
        if picture.format == "TIFF":
            self._check_tiff(picture, photo)
        elif picture.format in ("JPEG", "MPO") and jpeg_scans(photo, _SCANS_MAX) > _SCANS_MAX:
            raise InvalidPhotoType(f"more than {_SCANS_MAX} scans")

    def _check_tiff(self, picture: Image.Image, photo: memoryview) -> None:
        try:
            tags = dict(picture.tag_v2)  # type: ignore[attr-defined]  # Pillow's TiffImageFile
            made, blocks = tiff_pixels(tags), tiff_blocks(tags)
        except _DECODER_ERRORS:
            raise InvalidPhotoType("tags that cannot be read") from None
        if made > _BLOWN_UP_MAX * self._limits.max_side_px**2:
            raise InvalidPhotoType(f"its strips or tiles hold {made} pixels")
        if tags.get(_COMPRESSION) in _JPEG_INSIDE and scan_marks(photo) > _SCANS_MAX + blocks:
            raise InvalidPhotoType(f"more than {_SCANS_MAX} scans")


def _identified(file: BoundedView) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)  # type: ignore[arg-type]  # a RawIOBase is enough
    except (UnidentifiedImageError, *_DECODER_ERRORS):
        raise InvalidPhotoType("not a photo of a supported format") from None


def _rgb(picture: Image.Image, turn: bool) -> Bytes:
    try:
        orientation = _orientation(picture)
        turned = picture.format == "TIFF"  # Pillow turns these while it loads them, whether it is asked to or not
        turns = {(False, True): _TURN, (True, False): _TURN_BACK}.get((turned, turn), {})
        picture.load()
        asked = picture.transpose(turns[orientation]) if orientation in turns else picture
        return np.asarray(_on_white(_eight_bits(asked)))  # one copy; np.array would make two
    except _DECODER_ERRORS:
        raise InvalidPhotoType("the photo does not decode") from None


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:  # metadata is no reason to refuse a photo
        return 1
    return value if isinstance(value, int) else 1


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8 bits; Pillow itself would clip instead of scale."""
    if picture.mode in _WIDE_MODES:
        wide = np.asarray(picture).astype(np.uint16)
        white = wide == picture.info.get("transparency", -1)
        return Image.fromarray(np.where(white, 255, wide >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError("32 bits per channel are not a kind the contract names")
    return picture


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("LA", "PA", "La", "RGBa", "RGBA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
