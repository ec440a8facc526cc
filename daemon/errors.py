"""Everything that can go wrong on purpose, as one tree.

    FaceverifydError
    ├── RequestError                the sender must send something else
    │   ├── InvalidArgument
    │   │   ├── MalformedEnvelope   says why, to tools only
    │   │   └── SealedPhotoRefused  one fixed text, whatever went wrong
    │   ├── InvalidPhotoSize
    │   ├── InvalidContentLength
    │   ├── InvalidPhotoType
    │   ├── DetectionFailed
    │   ├── FaceOccluded
    │   ├── UnknownTerminal
    │   └── TryLater                the sender must send it later
    │       └── RateLimited
    └── DeviceError                 the technician must act; carries a remedy
        ├── ConfigurationRefused
        ├── KeyRefused
        ├── EngineRefused
        ├── CalibrationRefused
        ├── DownloadFailed
        └── ReleaseRefused

Codes, messages and HTTP statuses are not here: `daemon.api.responses` has the one table.
"""

from __future__ import annotations

NOT_READY_S = 5
"""Seconds after which a device that is not ready is worth another try; as long as systemd/haproxy.cfg says."""


class FaceverifydError(Exception):
    """Whatever this product raises on purpose."""


class RequestError(FaceverifydError):
    """The request cannot be answered with a score; the sender must change it.

    Attributes:
        field: wire name of the parameter or photo at fault, or None where no single one is.
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.field = field


class InvalidArgument(RequestError):
    """A parameter is missing, empty, given twice or of a wrong type, or is not base64."""


class MalformedEnvelope(InvalidArgument):
    """A sealed photo's envelope is not as it must be, which its text says. Tools show it; the daemon never does."""


class SealedPhotoRefused(InvalidArgument):
    """A sealed photo does not open. Says nothing about why: the reasons must not be told apart."""

    def __init__(self) -> None:
        super().__init__("the sealed photo does not open")


class InvalidPhotoSize(RequestError):
    """Width or height in pixels is outside the limits."""


class InvalidContentLength(RequestError):
    """The opened photo is empty or has too many bytes."""


class InvalidPhotoType(RequestError):
    """The opened bytes are not a photo of a supported format, or do not decode."""


class DetectionFailed(RequestError):
    """No face was found in the photo."""


class FaceOccluded(RequestError):
    """Eyes, nose or mouth are covered, and the sender asked for a check."""


class UnknownTerminal(RequestError):
    """The caller showed no credential this device knows."""


class TryLater(RequestError):
    """The device cannot take the request now: not ready, queue full or deadline passed.

    Attributes:
        retry_after_s: whole seconds after which trying again makes sense, at least 1.
    """

    def __init__(self, reason: str, retry_after_s: int) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class RateLimited(TryLater):
    """This terminal sends more requests than it is allowed to."""


class DeviceError(FaceverifydError):
    """The device cannot work as it is.

    Attributes:
        remedy: one sentence for the technician: what to do or type next.
    """

    def __init__(self, seen: str, remedy: str) -> None:
        super().__init__(seen)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.args[0]}\n  remedy: {self.remedy}"


class ConfigurationRefused(DeviceError):
    """The configuration file or a network's manifest is missing, unreadable or has faults."""


class KeyRefused(DeviceError):
    """A key is missing, malformed, readable by others, or not allowed here."""


class EngineRefused(DeviceError):
    """An engine is missing, damaged, stale, or does not run where and how it should."""


class CalibrationRefused(DeviceError):
    """A calibration is missing, damaged, not monotone, or of another engine."""


class DownloadFailed(DeviceError):
    """A pinned file could not be fetched, or is not the file that was pinned."""


class ReleaseRefused(DeviceError):
    """A release is not signed, not whole, not for this device, or does not prove itself; what served serves on."""
