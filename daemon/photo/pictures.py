"""JPEG, PNG, GIF and TIFF: headers and pixels. The one owner of Pillow.

Pillow keeps the stored pixels in memory of its own; conversions are done a band of rows at a time.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from daemon.errors import InvalidPhotoType
from daemon.photo import jpeg
from daemon.photo.order import BAND_PX
from daemon.photo.structure import (
    PNG_SIGNATURE,
    BufferView,
    jpeg_scans,
    png_chunks,
    scan_marks,
    tiff_blocks,
    tiff_pixels,
)
from daemon.records import Bytes

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px."""

FORMATS = ("JPEG", "PNG", "GIF", "TIFF")
"""Pillow's names. Source: the contract, BMP aside."""

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

_PLAIN_MODES = ("L", "RGB")
"""Pillow's names for grey and three colours of 8 bits."""

_CLEAR_MODES = ("LA", "PA", "La", "RGBa", "RGBA")
"""Pillow's names for pixels with alpha."""

_FEW_BITS = {"L;2": 3, "L;4": 15}
"""Pillow's names for grey of few bits, and white in it."""

_ORIENTATION = 0x0112
"""EXIF tag. Source: Exif 2.32, section 4.6.4."""

_TURN_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes each orientation. Source: Exif 2.32, section 4.6.4."""

_SCANS_MAX, _SCANNED_PX_MAX = 100, 500_000_000
"""Scans of a JPEG, and pixels in all of them: progressive encoders make about ten, and each of 5,000 x 5,000 px may
cost 11 ms."""

_COMPRESSION, _JPEG_INSIDE = 259, (6, 7)
"""A TIFF's tag, and its values for JPEG. Source: TIFF 6.0, section 22, and its technical note 2."""

_BLOWN_UP_MAX, _PADDING_PX = 2, 4_000_000
"""How many times its pixels a TIFF's strips or tiles may hold, and pixels beside that: small ones have padded tiles."""

_PROFILES_MAX = 1
"""Colour profiles of a PNG, each of which Pillow unpacks. Source: PNG (third edition), section 5.6, table 7."""

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
"""A TIFF's tag, and its value for grey that is stored inverted. Source: TIFF 6.0, section 8."""

# Pillow knows grey of 16 bits with inverted values in one byte order only, and does not turn the values back.
TiffImagePlugin.OPEN_INFO[(b"MM", _WHITE_IS_ZERO, (1,), 1, (16,), ())] = ("I;16B", "I;16B")

# The limits are checked from the header, so that Pillow's own guess at a bomb only gets in their way.
Image.MAX_IMAGE_PIXELS = None


def load_decoders() -> None:
    """Load what decoding needs, by decoding one small photo of each format: later no file need be opened for it."""
    for kind in FORMATS:
        written = io.BytesIO()
        Image.new("RGB", (8, 8)).save(written, kind)
        opened(memoryview(written.getvalue())).draw(np.empty((8, 8, 3), np.uint8))


def opened(photo: memoryview) -> PillowPicture:
    """The photo, its header read.

    Raises:
        InvalidPhotoType: not a supported format, or its header is damaged.
    """
    if bytes(photo[:8]) == PNG_SIGNATURE and png_chunks(photo, b"iCCP", _PROFILES_MAX) > _PROFILES_MAX:
        raise InvalidPhotoType("more than one colour profile")
    try:
        picture = Image.open(BufferView(photo), formats=FORMATS)  # type: ignore[arg-type]  # a RawIOBase is enough
    except (UnidentifiedImageError, *_DECODER_ERRORS):
        raise InvalidPhotoType("not a photo of a supported format") from None
    return PillowPicture(picture, photo)


class PillowPicture:
    """A photo that Pillow decodes; see `daemon.photo.order.Picture`."""

    def __init__(self, picture: ImageFile.ImageFile, photo: memoryview) -> None:
        self._picture = picture
        self._photo = photo
        self._stored_px = picture.size
        self._covered = _covered(picture)
        self._is_negative = _is_negative(picture)
        _name_clear_colour_in_8_bits(picture)

    @cached_property
    def orientation(self) -> int:
        """The EXIF orientation, 1 to 8. Asking a PNG decodes it: its metadata may stand behind its pixels."""
        return _orientation(self._picture)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height as stored."""
        sideways = self._picture.format == "TIFF" and self.orientation > 4  # Pillow has swapped them already
        return self._stored_px[::-1] if sideways else self._stored_px

    @property
    def _is_jpeg(self) -> bool:
        return self._picture.format in ("JPEG", "MPO")

    def reduce(self, times: int) -> int:
        """Only JPEG can be decoded smaller, by fewer values per block of 8 x 8."""
        if times == 1 or not self._is_jpeg:
            return 1
        self._picture.draft(None, (self._stored_px[0] // times, self._stored_px[1] // times))
        return times

    def draw(self, stored: Bytes) -> None:
        """Write the pixels as stored.

        Raises:
            InvalidPhotoType: the photo does not decode, or is built to keep the decoder busy.
        """
        self._check_work()
        if self._is_jpeg and self._picture.mode in _PLAIN_MODES and jpeg.draw(self._photo, stored):
            return
        try:
            for top, rows in self._bands():
                stored[top : top + len(rows)] = rows
        except _DECODER_ERRORS:
            raise InvalidPhotoType("the photo does not decode") from None

    def _bands(self) -> Iterator[tuple[int, Bytes]]:
        picture = self._picture
        picture.load()
        stored = _turned_back(picture, self.orientation)
        for top in range(0, stored.height, BAND_PX):
            bottom = min(top + BAND_PX, stored.height)
            rows = _rgb(stored.crop((0, top, stored.width, bottom)))
            rows = 255 - rows if self._is_negative else rows
            yield top, rows if self._covered is None else _white_around(rows, self._covered, top)

    def _check_work(self) -> None:
        """Refuse a file whose decoding would take far more work than its pixels."""
        if self._picture.format == "TIFF":
            self._check_tiff()
        elif self._is_jpeg:
            most = min(_SCANS_MAX, _SCANNED_PX_MAX // math.prod(self._stored_px))
            if jpeg_scans(self._photo, most) > most:
                raise InvalidPhotoType(f"more than {most} scans")

    def _check_tiff(self) -> None:
        try:
            tags = dict(self._picture.tag_v2)  # type: ignore[attr-defined]  # Pillow's TiffImageFile
            made, blocks = tiff_pixels(tags), tiff_blocks(tags)
        except _DECODER_ERRORS:
            raise InvalidPhotoType("tags that cannot be read") from None
        if made > _BLOWN_UP_MAX * math.prod(self._stored_px) + _PADDING_PX:
            raise InvalidPhotoType(f"its strips or tiles hold {made} pixels")
        if tags.get(_COMPRESSION) in _JPEG_INSIDE and scan_marks(self._photo) > _SCANS_MAX + blocks:
            raise InvalidPhotoType(f"more than {_SCANS_MAX} scans")


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:  # metadata is no reason to refuse a photo
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turned_back(picture: Image.Image, orientation: int) -> Image.Image:
    """A loaded photo as stored: Pillow turns TIFF while it loads it, whether it is asked to or not."""
    if picture.format != "TIFF" or orientation not in _TURN_BACK:
        return picture
    return picture.transpose(_TURN_BACK[orientation])


def _covered(picture: ImageFile.ImageFile) -> Box | None:
    """What the first frame of a GIF covers; None where it covers all."""
    extents = picture.tile[0][1] if picture.format == "GIF" and picture.tile else None
    return None if extents == (0, 0, *picture.size) else extents


def _is_negative(picture: ImageFile.ImageFile) -> bool:
    """Whether Pillow will give the values of a TIFF inverted, which it does for grey of 16 bits alone."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile) or picture.mode not in _WIDE_MODES:
        return False
    return picture.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _white_around(rows: Bytes, box: Box, first: int) -> Bytes:
    """Rows from a first one on, white outside the box."""
    left, top, right, bottom = box
    white = np.full_like(rows, 255)
    kept = np.s_[max(0, top - first) : max(0, bottom - first), left:right]
    white[kept] = rows[kept]
    return white


def _name_clear_colour_in_8_bits(picture: ImageFile.ImageFile) -> None:
    """A PNG names its transparent colour in its own bits, and Pillow decodes all but grey of 16 bits to 8."""
    clear = picture.info.get("transparency")
    stored = str(picture.tile[0][3]) if picture.tile else ""
    if isinstance(clear, tuple) and "16" in stored:
        picture.info["transparency"] = tuple(part >> 8 for part in clear)
    elif isinstance(clear, int) and stored in _FEW_BITS:
        picture.info["transparency"] = clear * 255 // _FEW_BITS[stored]


def _rgb(band: Image.Image) -> Bytes:
    return np.asarray(_on_white(_eight_bits(band)))


def _eight_bits(band: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8 bits; Pillow itself would clip instead of scale."""
    if band.mode in _WIDE_MODES:
        wide = np.asarray(band).astype(np.uint16)
        white = wide == band.info.get("transparency", -1)
        return Image.fromarray(np.where(white, 255, wide >> 8).astype(np.uint8))
    if band.mode in ("I", "F"):
        raise ValueError("32 bits per channel are not a kind the contract names")
    return band


def _on_white(band: Image.Image) -> Image.Image:
    if band.mode in _CLEAR_MODES or "transparency" in band.info:
        white = Image.new("RGB", band.size, "white")
        layer = band.convert("RGBA")
        white.paste(layer, mask=layer)
        return white
    return band if band.mode == "RGB" else band.convert("RGB")
