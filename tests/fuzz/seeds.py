"""Small, sound photos of many kinds, for mutations to begin with."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.daemon.photo import bmp_files, gif_files, tiff_files
from tests.daemon.photo.photo_files import chunk, photo_file, png, rows


def seeds() -> list[bytes]:
    """The photos, always the same."""
    random = np.random.default_rng(11)
    smooth = np.asarray(Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize((48, 40)))
    return [*_jpegs(smooth), *_pngs(smooth), *_gifs(smooth), *_bmps(smooth), *_tiffs(smooth)]


def _jpegs(rgb: gif_files.Palette) -> list[bytes]:
    picture = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description " * 9
    return [
        photo_file("JPEG", picture, exif=exif, icc_profile=bytes(300)),
        photo_file("JPEG", picture, progressive=True, subsampling=0),
        photo_file("JPEG", picture.convert("L"), restart_marker_blocks=2),
        photo_file("JPEG", picture.convert("CMYK")),
        photo_file("MPO", picture, save_all=True, append_images=[picture]),
    ]


def _pngs(rgb: gif_files.Palette) -> list[bytes]:
    picture = Image.fromarray(rgb)
    deep = (rgb.astype(np.uint16) * 257).astype(">u2")
    return [
        photo_file("PNG", picture, icc_profile=bytes(300), dpi=(72, 72)),
        photo_file("PNG", picture.convert("RGBA")),
        photo_file("PNG", picture.quantize(16), transparency=3),
        photo_file("PNG", picture.convert("1")),
        photo_file("PNG", picture, save_all=True, append_images=[Image.new("RGB", picture.size)]),
        png((48, 40), (16, 2), rows(deep), chunk(b"tRNS", bytes(6)), chunk(b"zTXt", b"a\0\0x")),
    ]


def _gifs(rgb: gif_files.Palette) -> list[bytes]:
    indices = rgb[..., 0].copy()
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    frame = gif_files.Frame(indices, clear=7, interlaced=True)
    small = gif_files.Frame(indices[:9, :9], 5, 6, palette)
    return [gif_files.gif((48, 40), palette, frame, small), photo_file("GIF", Image.fromarray(rgb))]


def _bmps(rgb: gif_files.Palette) -> list[bytes]:
    indices = (rgb[..., 0] >> 4).astype(np.uint8)
    palette = [(value, value, value) for value in range(16)]
    plain = bmp_files.Bmp(48, 40, 4, bmp_files.packed(indices, 4), palette=palette)
    runs = [(8, bmp_files.RLE8, bmp_files.runs8(indices)), (4, bmp_files.RLE4, bmp_files.runs4(indices))]
    words = (rgb[..., 0].astype(np.uint32) << 8).astype(np.uint32)
    fields = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    deep = bmp_files.Bmp(48, 40, 32, bmp_files.words(words, 32), bmp_files.WINDOWS_5, bmp_files.FIELDS, fields)
    packed = [bmp_files.Bmp(48, 40, bits, body, stored=stored, palette=palette) for bits, stored, body in runs]
    return [plain.file(), deep.file(), *(bmp.file() for bmp in packed), photo_file("BMP", Image.fromarray(rgb))]


def _tiffs(rgb: gif_files.Palette) -> list[bytes]:
    kinds = [
        tiff_files.Tiff(rgb, tiff_files.RGB, compression=5, predictor=2, pages=2),
        tiff_files.Tiff(rgb, tiff_files.RGB, compression=8, tile=(16, 16), order=">"),
        tiff_files.Tiff(rgb, tiff_files.RGB, compression=32773, planar=2),
        tiff_files.Tiff(rgb, tiff_files.RGB, big=True),
        tiff_files.Tiff(rgb[..., :1].astype(np.uint16), tiff_files.BLACK_IS_ZERO, 16, more={274: [6]}),
    ]
    written = [photo_file("TIFF", Image.fromarray(rgb), compression="jpeg")]
    written += [
        photo_file("TIFF", Image.fromarray(rgb).convert("1"), compression=kind) for kind in ("group3", "group4")
    ]
    return [kind.file() for kind in kinds] + written
