"""The occlusion head: a 1 x 1 convolution to a few channels, and from these one weighted sum per region.

Fitted by stochastic gradient descent (Adam) on features of the recognition network, in numpy, so that one seed gives
one file. `tools.recipe` joins it into the network.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daemon.records import CROP_SIZE_PX, REGIONS, Floats
from tools.occluders.canvas import Random
from tools.occlusion_examples import REGION_BOXES

CELLS = 14
_CELL_PX = CROP_SIZE_PX // CELLS
"""Cells along a side of the feature map that the manifest names, and pixels of the crop that one stands for."""

_TOP, _LEFT, _ROWS, _COLUMNS = 4, 2, 10, 10
WINDOW = _ROWS * _COLUMNS
"""The part of the feature map that holds eyes, nose and mouth, the reach of every region included; and its cells."""

CHANNELS = 24
_REACH_PX = 16.0
"""Channels, and how far beyond its box a region's sum reaches. Source: of 12 and 24 channels, 8 and 16 px measured in
trt_engines/sface/README.md."""

_BATCH, _STEP, _DECAY = 64, 2e-3, 1e-4
"""Examples and largest step per update, and pull of the weights towards zero."""

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Head:
    """Weights in the units of the network's features.

    Attributes:
        weight: float32 (channels, features), of the convolution.
        bias: float32 (channels,).
        regions: float32 (4, channels, 14, 14), of each region's sum, as REGIONS.
        regions_bias: float32 (4,).
    """

    weight: Floats
    bias: Floats
    regions: Floats
    regions_bias: Floats

    def visible(self, windows: Halves) -> Floats:
        """Visible share of each region, float32 (n, 4); windows as `window` gives them."""
        part = self.regions[:, :, _TOP : _TOP + _ROWS, _LEFT : _LEFT + _COLUMNS]
        sums = part.transpose(2, 3, 1, 0).reshape(-1, len(REGIONS))
        shares = []
        for start in range(0, len(windows), _BATCH):
            cells = windows[start : start + _BATCH].astype(np.float32) @ self.weight.T + self.bias
            shares.append(_sigmoid(np.maximum(cells, 0).reshape(len(cells), -1) @ sums + self.regions_bias))
        return np.concatenate(shares)

    def file(self) -> bytes:
        """The weights as a file, .npz, in half precision: the same bytes for the same weights."""
        buffer = io.BytesIO()
        parts = {name: getattr(self, name).astype(np.float16) for name in self.__slots__}
        np.savez(buffer, **parts)
        return buffer.getvalue()


def window(features: Floats) -> Halves:
    """The cells that the head looks at: float16 (n, 100, features) of float32 (n, features, 14, 14)."""
    part = features[:, :, _TOP : _TOP + _ROWS, _LEFT : _LEFT + _COLUMNS]
    return np.ascontiguousarray(part.transpose(0, 2, 3, 1).reshape(len(part), WINDOW, -1), np.float16)


def reach() -> Floats:
    """Which cells each region's sum may use: float32 (100, 4), 1 or 0."""
    rows, columns = np.mgrid[_TOP : _TOP + _ROWS, _LEFT : _LEFT + _COLUMNS] * _CELL_PX + _CELL_PX / 2
    parts = []
    for region in REGIONS:
        (x, y), (half_width, half_height) = REGION_BOXES[region]
        near = (abs(columns - x) <= half_width + _REACH_PX) & (abs(rows - y) <= half_height + _REACH_PX)
        parts.append(near.ravel())
    return np.stack(parts, axis=1).astype(np.float32)


def fit(windows: Halves, visible: Floats, epochs: int, random: Random) -> Head:
    """The head that best tells visible shares from features.

    Args:
        windows: float16 (n, 100, features), as `window` gives them.
        visible: float32 (n, 4), 0 to 1; NaN where it is not known.
        epochs: times each example is seen.
        random: of the first weights and the order.
    """
    sample = windows[:: max(1, len(windows) // 300)].astype(np.float32).reshape(-1, windows.shape[2])
    mean, spread = sample.mean(axis=0), sample.std(axis=0) + 1e-3
    fitting = _Fitting(windows.shape[2], random)
    batches = list(_batches(len(windows), epochs, random))
    for number, batch in enumerate(batches):
        standard = (windows[batch].astype(np.float32) - mean) / spread
        size = _STEP * (1 + np.cos(np.pi * number / len(batches))) / 2
        fitting.update(standard, visible[batch], number + 1, size)
    return fitting.head(mean, spread)


def _batches(count: int, epochs: int, random: Random) -> Iterator[npt.NDArray[np.intp]]:
    size = min(_BATCH, count)
    for _ in range(epochs):
        order = random.permutation(count)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


class _Fitting:
    """The weights for standardised features while they are fitted.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
    """

    def __init__(self, features: int, random: Random) -> None:
        self._reach = np.repeat(reach()[:, None], CHANNELS, axis=1)
        first = random.normal(size=(features, CHANNELS)) / np.sqrt(features)
        second = random.normal(size=self._reach.shape) * self._reach * 0.3 / np.sqrt(WINDOW * CHANNELS)
        starts: Iterable[npt.ArrayLike] = (first, np.zeros(CHANNELS), second, np.zeros(len(REGIONS)))
        self._weights: list[Floats] = [np.asarray(start, np.float32) for start in starts]
        self._means = [np.zeros_like(weight) for weight in self._weights]
        self._squares = [np.zeros_like(weight) for weight in self._weights]

    def update(self, standard: Floats, visible: Floats, number: int, size: float) -> None:
        """One step down the slope of the cross entropy, weights decaying."""
        slopes = self._slopes(standard, visible)
        for weight, slope, mean, square in zip(self._weights, slopes, self._means, self._squares, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope * slope - square)
            weight -= size * (mean / (1 - 0.9**number)) / (np.sqrt(square / (1 - 0.999**number)) + 1e-8)

    def _slopes(self, standard: Floats, visible: Floats) -> tuple[Floats, ...]:
        first, bias, second, regions_bias = self._weights
        flat = second.reshape(-1, len(REGIONS))
        cells = np.maximum(standard @ first + bias, 0)
        rows = cells.reshape(len(cells), -1)
        off = _sigmoid(rows @ flat + regions_bias) - np.nan_to_num(visible)
        off = np.where(np.isnan(visible), 0, off).astype(np.float32) / np.float32(len(cells))
        back = (off @ flat.T).reshape(cells.shape) * (cells > 0)
        first_slope = standard.reshape(-1, len(first)).T @ back.reshape(-1, CHANNELS) + _DECAY * first
        second_slope = (rows.T @ off).reshape(second.shape) * self._reach + _DECAY * second
        return first_slope, back.sum(axis=(0, 1)), second_slope, off.sum(axis=0)

    def head(self, mean: Floats, spread: Floats) -> Head:
        """The weights in the features' own units, as exact as the file keeps them."""
        first, bias, second, regions_bias = self._weights
        weight = (first / spread[:, None]).T
        regions = np.zeros((len(REGIONS), CHANNELS, CELLS, CELLS), np.float32)
        part = second.reshape(_ROWS, _COLUMNS, CHANNELS, len(REGIONS)).transpose(3, 2, 0, 1)
        regions[:, :, _TOP : _TOP + _ROWS, _LEFT : _LEFT + _COLUMNS] = part
        exact = (weight, bias - weight @ mean, regions, regions_bias)
        return Head(*(value.astype(np.float16).astype(np.float32) for value in exact))
