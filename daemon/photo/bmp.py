"""BMP: headers of Windows and OS/2, 1 to 32 bits per pixel, bit fields, palettes, run lengths, either row order.

Source of the layout: Microsoft, "Bitmap Storage" and "BITMAPINFOHEADER", "BITMAPV4HEADER", "BITMAPV5HEADER" (Windows
GDI); IBM, "OS/2 Presentation Manager Programming Reference", "Bitmap File Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.errors import InvalidPhotoType
from daemon.photo.order import BAND_PX
from daemon.photo.runs import unrolled
from daemon.records import Bytes

Words = npt.NDArray[np.unsignedinteger]

SIGNATURE = b"BM"

_FILE_HEADER_BYTES, _OS2_1, _OS2_2, _WINDOWS = 14, 12, (16, 64), (40, 52, 56, 108, 124)
"""Sizes of headers in bytes, by which they are told apart."""

_UNPACKED, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
"""How pixels are stored; photos that hold a JPEG or PNG stream are not supported, they are made for printers."""

_STORED = {
    _UNPACKED: (1, 2, 4, 8, 16, 24, 32),
    _RLE8: (8,),
    _RLE4: (4,),
    _FIELDS: (16, 32),
    _ALPHA_FIELDS: (16, 32),
}
"""Bits per pixel that each way of storing them allows."""

_USUAL_FIELDS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
"""Red, green, blue, alpha where the header names no bit fields."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the pixels.

    Attributes:
        header_bytes: size of the second header.
        height: rows; below zero where the topmost is stored first.
        colours: entries of the palette; 0 for as many as the bits allow.
    """

    pixels_at: int
    header_bytes: int
    width: int
    height: int
    bits: int
    stored: int
    colours: int


def opened(photo: memoryview) -> BmpPicture:
    """The photo, its header read.

    Raises:
        InvalidPhotoType: the header is damaged, or of a kind that is not supported.
    """
    try:
        return BmpPicture(photo, _header(photo))
    except struct.error:
        raise InvalidPhotoType("the header ends early") from None


def _header(photo: memoryview) -> _Header:
    pixels_at, size = struct.unpack_from("<II", photo, 10)
    at = _FILE_HEADER_BYTES
    if size == _OS2_1:
        width, height, _, bits = struct.unpack_from("<HHHH", photo, at + 4)
        return _Header(pixels_at, size, width, height, bits, _UNPACKED, 0)
    if size not in _OS2_2 + _WINDOWS:
        raise InvalidPhotoType(f"a header of {size} bytes")
    width, height, _, bits = struct.unpack_from("<iiHH", photo, at + 4)
    stored, colours = (0, 0) if size == _OS2_2[0] else struct.unpack_from("<I12xI", photo, at + 16)
    if size in _OS2_2 and stored not in (_UNPACKED, _RLE8, _RLE4):
        raise InvalidPhotoType("a compression of OS/2 alone")  # the same number means bit fields for Windows
    return _Header(pixels_at, size, width, height, bits, stored, colours)


class BmpPicture:
    """A BMP; see `daemon.photo.order.Picture`."""

    orientation = 1

    def __init__(self, photo: memoryview, header: _Header) -> None:
        if header.bits not in _STORED.get(header.stored, ()):
            raise InvalidPhotoType(f"{header.bits} bits per pixel, stored as {header.stored}")
        self._photo = photo
        self._header = header
        self.size_px = (header.width, abs(header.height))

    def reduce(self, _times: int) -> int:
        """A BMP is not made smaller."""
        return 1

    def draw(self, stored: Bytes) -> None:
        """Write the pixels, from the top.

        Raises:
            InvalidPhotoType: the photo ends early, or its bit fields or palette are damaged.
        """
        in_order = stored if self._header.height < 0 else stored[::-1]
        for first, rows in self._bands():
            in_order[first : first + len(rows)] = rows

    def _bands(self) -> Iterator[tuple[int, Bytes]]:
        header = self._header
        if header.stored in (_RLE4, _RLE8):
            palette = self._palette()
            indices = unrolled(bytes(self._photo[header.pixels_at :]), header.bits, self.size_px)
            for first in range(0, len(indices), BAND_PX):
                yield first, _looked_up(palette, indices[first : first + BAND_PX])
            return
        rows = self._stored_rows()
        colours = _Colours(header.bits, self._palette(), self._fields())
        starts = range(0, len(rows), BAND_PX)
        # Many programs name an alpha field and leave it empty in every pixel: such a photo is meant to be seen.
        clear = any(colours.have_alpha(rows[first : first + BAND_PX]) for first in starts)
        for first in starts:
            yield first, colours.of(rows[first : first + BAND_PX], header.width, clear)

    def _stored_rows(self) -> Bytes:
        """The rows as stored, uint8 (height, bytes of a row). A row is a multiple of four bytes."""
        width, height = self.size_px
        row_bytes = (width * self._header.bits + 31) // 32 * 4
        part = self._photo[self._header.pixels_at :][: row_bytes * height]
        if len(part) < row_bytes * height:
            raise InvalidPhotoType("its pixels end early")
        return np.frombuffer(part, np.uint8).reshape(height, row_bytes)

    def _palette(self) -> Bytes:
        """RGB of each index, uint8 (256, 3); black where the palette is shorter."""
        header = self._header
        palette = np.zeros((256, 3), np.uint8)
        entry = 3 if header.header_bytes == _OS2_1 else 4
        start = _FILE_HEADER_BYTES + header.header_bytes + self._fields_behind_header() * 4
        most = 1 << min(header.bits, 8)
        part = self._photo[start : start + entry * min(most, header.colours or most)]
        named = np.frombuffer(part[: len(part) // entry * entry], np.uint8).reshape(-1, entry)
        palette[: len(named)] = named[:, 2::-1]
        return palette

    def _fields_behind_header(self) -> int:
        short = self._header.header_bytes == _WINDOWS[0]
        return {_FIELDS: 3, _ALPHA_FIELDS: 4}.get(self._header.stored, 0) if short else 0

    def _fields(self) -> tuple[int, ...]:
        """The bits of red, green, blue and alpha in a pixel of 16 or 32 bits."""
        header = self._header
        if header.stored == _UNPACKED:
            return _USUAL_FIELDS.get(header.bits, ())
        named = self._fields_behind_header() or (3 if header.header_bytes == 52 else 4)
        try:
            fields = struct.unpack_from(f"<{named}I", self._photo, _FILE_HEADER_BYTES + _WINDOWS[0])
        except struct.error:
            raise InvalidPhotoType("the header ends early") from None
        return (*fields, 0)[:4]


class _Colours:
    """Turns stored rows into colours."""

    def __init__(self, bits: int, palette: Bytes, fields: tuple[int, ...]) -> None:
        self._bits = bits
        self._palette = palette
        self._fields = tuple(mask & (1 << bits) - 1 for mask in fields)

    def have_alpha(self, rows: Bytes) -> bool:
        """Whether a pixel of stored rows is not wholly clear."""
        return self._fields[3:] not in ((), (0,)) and bool(np.any(self._words(rows) & self._fields[3]))

    def of(self, rows: Bytes, width: int, clear: bool) -> Bytes:
        """RGB of stored rows, uint8 (rows, width, 3), on white where their alpha counts."""
        if self._bits == 24:
            return rows[:, : width * 3].reshape(len(rows), width, 3)[..., ::-1]
        if self._bits > 8:
            return self._from_fields(self._words(rows)[:, :width], clear)
        shifts = np.arange(8 - self._bits, -1, -self._bits, dtype=np.uint8)
        mask = np.uint8((1 << self._bits) - 1)
        indices: Bytes = (rows[..., None] >> shifts & mask).reshape(len(rows), -1)
        return _looked_up(self._palette, indices[:, :width])

    def _words(self, rows: Bytes) -> Words:
        return rows.view("<u2" if self._bits == 16 else "<u4")

    def _from_fields(self, words: Words, clear: bool) -> Bytes:
        rgb = np.stack([_field(words, mask) for mask in self._fields[:3]], axis=-1)
        if not clear:
            return rgb
        alpha = _field(words, self._fields[3])[..., None].astype(np.uint16)
        return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _looked_up(palette: Bytes, indices: Bytes) -> Bytes:
    """The colours of palette indices, uint8 (rows, width, 3)."""
    # A colour in one word of four bytes is looked up three times as fast as three bytes.
    colours = np.pad(palette, ((0, 0), (0, 1))).view(np.uint32)[:, 0]
    return np.asarray(colours.take(indices).view(np.uint8).reshape(*indices.shape, 4)[..., :3])


def _field(words: Words, mask: int) -> Bytes:
    """A bit field of each pixel, brought to 0..255."""
    lowest = (mask & -mask).bit_length() - 1 if mask else 0
    most = mask >> lowest
    if most & (most + 1):
        raise InvalidPhotoType("a bit field with gaps")
    surplus = max(0, most.bit_length() - 8)
    value = (words & np.array(mask, words.dtype)) >> (lowest + surplus)
    scale = (np.arange(256) * 255 // max(1, most >> surplus)).clip(0, 255).astype(np.uint8)
    return np.asarray(scale[value])
