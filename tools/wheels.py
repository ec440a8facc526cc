"""What an onnxruntime wheel can run on, told from the wheel itself or from where it is installed; nothing of it is run.

Wheels for other GPUs install cleanly and then run on the CPU, so a release and the doctor look inside before. The one
owner of elftools.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import IO, NamedTuple

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from daemon.config import Accelerator
from daemon.errors import EngineRefused
from daemon.inference.accelerators import ACCELERATORS
from tools.jetpacks import JETPACKS

_FOLDER = "onnxruntime/capi"
_LIBRARIES = {
    Accelerator.TENSORRT: f"{_FOLDER}/libonnxruntime_providers_tensorrt.so",
    Accelerator.CUDA: f"{_FOLDER}/libonnxruntime_providers_cuda.so",
}
_NAMES = ("onnxruntime-gpu", "onnxruntime")
"""Of distributions that bring the package onnxruntime, the one with GPUs first."""

_CUDA = "libcudart.so."

_FATBIN_SECTION = ".nv_fatbin"
_FATBIN_MAGIC = 0xBA55ED50
_OUTER = struct.Struct("<IHHQ")
_INNER = struct.Struct("<HHIQ12xI")
_PTX, _CUBIN = 1, 2
"""Fat binaries: a header (magic, version, its size, size of what follows), then entries: kind, version, header's size,
content's size, compute capability. Source: NVIDIA, fatbinary_section.h of the CUDA toolkit, for the outer header;
the entries as cuobjdump --list-elf lists them."""


class OnnxruntimeBuild(NamedTuple):
    """One build of onnxruntime.

    Attributes:
        name: of its distribution.
        version: its version.
        tags: of its wheel, like cp312-cp312-manylinux_2_34_aarch64.
        providers: accelerators whose provider library it has.
        architectures: GPUs that it has machine code for, like sm_87.
        ptx: GPUs that it has code for which the driver translates, for these and newer ones.
        libraries: shared libraries that its providers load: CUDA's, cuDNN's, TensorRT's, the system's.
    """

    name: str
    version: str
    tags: tuple[str, ...]
    providers: tuple[str, ...]
    architectures: tuple[str, ...]
    ptx: tuple[str, ...]
    libraries: tuple[str, ...]


class Needed(NamedTuple):
    """What a device needs of a wheel; None where it does not matter.

    Attributes:
        accelerator: what it is to run on.
        architecture: of its GPU, like sm_87.
        machine: like aarch64.
        python: like cp310.
    """

    accelerator: Accelerator
    architecture: str | None = None
    machine: str | None = None
    python: str | None = None


_Open = Callable[[str], AbstractContextManager[IO[bytes]] | None]


def inspect_wheel(wheel: Path) -> OnnxruntimeBuild:
    """What a wheel's file holds.

    Raises:
        EngineRefused: it is no wheel of onnxruntime.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            described = next(name for name in names if name.endswith(".dist-info/WHEEL"))
            of = metadata.PathDistribution(zipfile.Path(archive, described.rpartition("/")[0] + "/"))
            return _build(of, lambda name: _unpacked(archive, name) if name in names else None)
    except (OSError, StopIteration, zipfile.BadZipFile) as error:
        raise EngineRefused(f"{wheel} is no wheel of onnxruntime: {error}", "Name a wheel file.") from error


def inspect_installed(site_packages: Path | None = None) -> OnnxruntimeBuild:
    """What is installed, here or in another environment's folder.

    Raises:
        EngineRefused: onnxruntime is not installed there.
    """
    there = metadata.distributions(path=[str(site_packages)] if site_packages else sys.path)
    found = {one.metadata["Name"].lower(): one for one in there if one.metadata["Name"]}
    one = found.get(_NAMES[0]) or found.get(_NAMES[1])
    if one is None:
        raise EngineRefused("onnxruntime is not installed", "Install the release anew.")
    return _build(one, partial(_opened, one))


def unfit(build: OnnxruntimeBuild, needed: Needed) -> list[str]:
    """Why a build does not serve a device, in words; nothing where it does."""
    reasons = []
    where = f"{build.name} {build.version}"
    if needed.accelerator is not Accelerator.CPU and needed.accelerator.value not in build.providers:
        reasons.append(f"{where} has no {ACCELERATORS[needed.accelerator].provider}")
    if needed.architecture and not _has_code(build, needed.architecture):
        has = ", ".join((*build.architectures, *(f"{one} and newer" for one in build.ptx))) or "none"
        reasons.append(f"{where} has no code for {needed.architecture}, it has: {has}")
    for part, word in ((needed.machine, "machine"), (needed.python, "Python")):
        if part and not any(part in tag for tag in build.tags):
            reasons.append(f"{where} is for another {word} than {part}: {', '.join(build.tags)}")
    return reasons


def unfit_for_jetpack(build: OnnxruntimeBuild, jetpack: str) -> list[str]:
    """Why a build does not serve every Jetson of a JetPack, by major version; nothing where it does."""
    facts = JETPACKS[jetpack]
    found = [
        reason
        for architecture in facts.architectures
        for reason in unfit(build, Needed(Accelerator.TENSORRT, architecture, "aarch64", facts.python))
    ]
    cuda = [name for name in build.libraries if name.startswith(_CUDA)]
    if cuda and f"{_CUDA}{facts.cuda}" not in cuda:
        found.append(f"{build.name} {build.version} loads {', '.join(cuda)}, JetPack {jetpack} has CUDA {facts.cuda}")
    return list(dict.fromkeys(found))


def _has_code(build: OnnxruntimeBuild, architecture: str) -> bool:
    """Whether there is machine code for exactly this GPU, or what a driver translates.

    That code for sm_80 also runs on sm_86 does not hold for Jetsons. Source: CUDA C++ Programming Guide, "Binary
    Compatibility".
    """
    translated = [one for one in build.ptx if int(one[3:]) <= int(architecture[3:])]
    return architecture in build.architectures or bool(translated)


def _build(distribution: metadata.Distribution, opened: _Open) -> OnnxruntimeBuild:
    lines = (distribution.read_text("WHEEL") or "").splitlines()
    code: set[tuple[int, int]] = set()
    libraries: set[str] = set()
    providers = []
    for accelerator, library in _LIBRARIES.items():
        source = opened(library)
        if source is None:
            continue
        providers.append(accelerator.value)
        with source as stream:
            code |= set(gpu_code(stream))
            libraries |= set(_loads(stream))
    return OnnxruntimeBuild(
        name=distribution.metadata["Name"],
        version=distribution.version,
        tags=tuple(line.partition(": ")[2] for line in lines if line.startswith("Tag: ")),
        providers=tuple(providers),
        architectures=_named(code, _CUBIN),
        ptx=_named(code, _PTX),
        libraries=tuple(sorted(libraries)),
    )


def _named(code: set[tuple[int, int]], kind: int) -> tuple[str, ...]:
    return tuple(f"sm_{capability}" for what, capability in sorted(code) if what == kind)


def gpu_code(library: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Kind (1 for PTX, 2 for machine code) and compute capability (87 for 8.7) of every GPU program in a library."""
    section = ELFFile(library).get_section_by_name(_FATBIN_SECTION)
    if section is None:
        return
    at, end = section["sh_offset"], section["sh_offset"] + section["sh_size"]
    while at + _OUTER.size <= end:
        library.seek(at)
        magic, _version, header_bytes, content_bytes = _OUTER.unpack(library.read(_OUTER.size))
        if magic != _FATBIN_MAGIC:  # filled up to the next one
            at += 8
            continue
        at += header_bytes
        stop = at + content_bytes
        while at + _INNER.size <= stop:
            library.seek(at)
            kind, _version, entry_bytes, size_bytes, capability = _INNER.unpack(library.read(_INNER.size))
            yield kind, capability
            at += entry_bytes + size_bytes
        at = stop


def _loads(library: IO[bytes]) -> Iterator[str]:
    """Names of the shared libraries that a library needs."""
    dynamic = ELFFile(library).get_section_by_name(".dynamic")
    if isinstance(dynamic, DynamicSection):
        yield from (entry.needed for entry in dynamic.iter_tags("DT_NEEDED"))  # type: ignore[attr-defined]


def missing(build: OnnxruntimeBuild) -> list[str]:
    """Of the shared libraries that a build's providers load, those that this device does not have."""
    return [name for name in build.libraries if not _is_there(name)]


def _is_there(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _unpacked(archive: zipfile.ZipFile, name: str) -> AbstractContextManager[IO[bytes]]:
    """A member in a file of its own: what is read from its end first cannot be read while it is packed."""
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whom it is handed to
    with archive.open(name) as packed:
        while block := packed.read(1 << 22):
            unpacked.write(block)
    return closing(unpacked)


def _opened(distribution: metadata.Distribution, member: str) -> AbstractContextManager[IO[bytes]] | None:
    path = Path(str(distribution.locate_file(member)))
    return path.open("rb") if path.is_file() else None
