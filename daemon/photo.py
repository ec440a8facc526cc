"""Step 2, decode: photo bytes to RGB pixels. The one owner of image decoders (Pillow).

The format is told by content. Limits are checked from the header, before a pixel is decoded. Only the first frame
counts. Alpha is put on white.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from daemon.config import ExifOrientation, PhotoLimits
from daemon.errors import InvalidContentLength, InvalidPhotoSize, InvalidPhotoType
from daemon.records import Pixels

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

_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""Takes back what an EXIF orientation does: Pillow turns TIFF photos whether it is asked to or not."""

# The limits below are checked from the header, so that Pillow's own guess at a bomb only gets in their way.
Image.MAX_IMAGE_PIXELS = None


class _View(io.RawIOBase):
    """A file over a buffer of ours, so that the photo is not copied into a second buffer that nobody wipes."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def seekable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def tell(self) -> int:
        """See io.RawIOBase."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io.RawIOBase."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """See io.RawIOBase; a copy of the bytes asked for."""
        end = len(self._view) if size is None or size < 0 else self._at + size
        part = bytes(self._view[self._at : end])
        self._at += len(part)
        return part


class PhotoDecoder:
    """Step 2 of the pipeline."""

    def __init__(self, limits: PhotoLimits) -> None:
        self._limits = limits

    def decode(self, photo: memoryview, auto_rotate: bool) -> Pixels:
        """The first frame's pixels.

        Args:
            photo: the opened photo's bytes.
            auto_rotate: apply the EXIF orientation; the configuration can apply it always.

        Raises:
            InvalidContentLength: no bytes, or too many.
            InvalidPhotoType: not a supported format, or damaged.
            InvalidPhotoSize: width or height outside the limits.
        """
        if not 1 <= len(photo) <= self._limits.max_bytes:
            raise InvalidContentLength(f"{len(photo)} bytes; 1 to {self._limits.max_bytes} are allowed")
        turn = auto_rotate or self._limits.exif_orientation is ExifOrientation.ALWAYS
        with _identified(photo) as picture:
            self._check_size(picture)
            return Pixels(_rgb(picture, turn))

    def _check_size(self, picture: Image.Image) -> None:
        low, high = self._limits.min_side_px, self._limits.max_side_px
        if not all(low <= side <= high for side in picture.size):
            raise InvalidPhotoSize(f"{picture.width} x {picture.height} px; {low} to {high} px are allowed")


def _identified(photo: memoryview) -> Image.Image:
    try:
        return Image.open(_View(photo), formats=FORMATS)  # type: ignore[arg-type]  # a RawIOBase is enough
    except (UnidentifiedImageError, *_DECODER_ERRORS):
        raise InvalidPhotoType("not a photo of a supported format") from None


def _rgb(picture: Image.Image, turn: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        undo = None if turn or picture.format != "TIFF" else _UNDO.get(picture.getexif().get(_ORIENTATION, 1))
        picture.load()
        stored = picture.transpose(undo) if undo is not None else picture
        upright = ImageOps.exif_transpose(stored) if turn else stored
        return np.asarray(_on_white(_eight_bits(upright)))  # one copy; np.array would make two
    except _DECODER_ERRORS:
        raise InvalidPhotoType("the photo does not decode") from None


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8 bits; Pillow itself would clip instead of scale."""
    if picture.mode in _WIDE_MODES:
        wide = np.asarray(picture).astype(np.uint16)
        white = wide == picture.info.get("transparency", -1)
        return Image.fromarray(np.where(white, 255, wide >> 8).astype(np.uint8))
    if picture.mode == "I":
        return Image.fromarray((np.clip(np.asarray(picture), 0, 0xFFFF) >> 8).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("floating point pixels are not a kind the contract names")
    return picture


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode in ("LA", "PA", "La", "RGBa", "RGBA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
