"""What a release is made of, as a CycloneDX list: every package with version, licence and hash, and the networks.

The one owner of cyclonedx.
"""

from __future__ import annotations

import email
import email.message
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from daemon.manifest import Manifest as Network
from tools.releases.manifest import sha256_of

_OURS = uuid.UUID("5f0e7e9c-0f54-5d6e-9a3f-6f1f4b3c2d11")
"""Namespace of the lists' own numbers, drawn once."""

_LICENCE_CHARACTERS = 64
"""A longer field is the licence's whole text."""


def parts_list(wheels: Sequence[Path], networks: Iterable[Network], version: str, made: datetime) -> bytes:
    """CycloneDX 1.6 as JSON, to the byte the same each time.

    Args:
        wheels: every one of the release.
        networks: manifests of its networks.
        version: the release's.
        made: when, as the sources say.
    """
    whole = Component(name="faceverifyd", version=version, type=ComponentType.APPLICATION, bom_ref="faceverifyd")
    parts = [*map(_package, wheels), *map(_network, networks)]
    number = uuid.uuid5(_OURS, "\n".join(sorted(f"{part.bom_ref.value}" for part in parts)))
    metadata = BomMetaData(component=whole, timestamp=made)
    bom = Bom(components=parts, metadata=metadata, serial_number=number)
    bom.register_dependency(whole, parts)
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _package(wheel: Path) -> Component:
    described = _described(wheel)
    name, version = described["Name"], described["Version"]
    url = PackageURL("pypi", name=name.lower().replace("_", "-"), version=version)
    licence = str(described["License-Expression"] or described["License"] or "")
    if not 0 < len(licence) <= _LICENCE_CHARACTERS:
        licence = _classified(described)
    sha256 = sha256_of(wheel)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{url}?sha256={sha256}",
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        licenses=[DisjunctiveLicense(name=licence)] if licence else None,
    )


def _network(network: Network) -> Component:
    source = network.source
    return Component(
        name=network.name,
        version=source.requirement.partition("==")[2],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"network-{network.name}?sha256={source.member_sha256}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=source.member_sha256)],
        licenses=[DisjunctiveLicense(name=source.licence)],
        external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(source.upstream))],
    )


def _described(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as opened:
        (member,) = [
            name for name in opened.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
        ]
        return email.message_from_bytes(opened.read(member))


def _classified(described: email.message.Message) -> str:
    stated = described.get_all("Classifier", [])
    return ", ".join(one.rpartition(" :: ")[2] for one in stated if one.startswith("License ::"))[:_LICENCE_CHARACTERS]
