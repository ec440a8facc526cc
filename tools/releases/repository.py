"""The repository that a fleet is updated from: metadata and archives as plain files, signed by roles.

    metadata/N.root.json       who signs what; offline, by several people
    metadata/N.targets.json    that the role `releases` says what a release is; offline
    metadata/N.releases.json   the releases; valid for long, so that a stick is
    metadata/N.snapshot.json   that all of these belong together
    metadata/timestamp.json    that this is the newest; valid for days, so that nobody can hold a fleet back
    targets/SHA256.NAME        the archives

Any web server serves it, and a copy of the folder on a stick is the same repository. With `source` the one owner of
tuf.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from daemon.errors import ReleaseRefused
from tools.releases.manifest import Manifest, archive_name
from tools.whole_file import write_whole

RELEASES = "releases"
ROLES = ("root", "targets", RELEASES, "snapshot", "timestamp")
"""Every role that signs."""

VALID_DAYS = {"root": 730, "targets": 730, RELEASES: 400, "snapshot": 30, "timestamp": 7}
"""How long each role's word counts. A stick counts as long as `releases`; a web server that is held back is noticed
when `timestamp` ends. Long ones are signed anew once a year."""

SIGNED_FIELD = "x-signed-utc"
"""When the list of releases was made: no device's clock is before it."""

_PATTERN = archive_name("*", "*")
_METADATA, _TARGETS = "metadata", "targets"
_SERIALIZER = JSONSerializer(compact=False)
Signers = Mapping[str, Sequence[CryptoSigner]]
"""Role to those who sign for it here and now."""


class Repository:
    """A folder that becomes one, or is one.

    Args:
        folder: of the repository.
        now: the present moment, UTC.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> None:
        self._metadata, self._targets = folder / _METADATA, folder / _TARGETS
        self._now = now
        for place in (folder, self._metadata, self._targets):
            place.mkdir(exist_ok=True)

    def make_root(self, keys: Mapping[str, Sequence[SSlibKey]], threshold: int) -> int:
        """Write the next root: who signs for root, targets, snapshot and timestamp. Nobody has signed it yet.

        Args:
            keys: role to public keys; who is left out signs no more.
            threshold: how many of the root's keys must sign a root.

        Returns:
            Its version.

        Raises:
            ReleaseRefused: fewer keys than must sign.
        """
        if not 1 <= threshold <= len({key.keyid for key in keys["root"]}):
            raise ReleaseRefused(f"{threshold} of {len(keys['root'])} root keys cannot sign", "Name more keys.")
        root = Root(version=self._version("root") + 1, expires=self._expires("root"), consistent_snapshot=True)
        root.roles = {name: Role([], threshold if name == "root" else 1) for name in ROLES if name != RELEASES}
        for name in root.roles:
            for key in keys[name]:
                root.add_key(key, name)
        self._write("root", Metadata(root))
        return root.version

    def delegate(self, keys: Sequence[SSlibKey], signers: Signers) -> int:
        """Say whose word on releases counts from now on: the role `releases`, by whoever signs for targets."""
        targets = Targets(version=self._version("targets") + 1, expires=self._expires("targets"))
        role = DelegatedRole(RELEASES, [], 1, terminating=True, paths=[_PATTERN])
        targets.delegations = Delegations({}, {RELEASES: role})
        for key in keys:
            targets.add_key(key, RELEASES)
        self._write("targets", Metadata(targets), signers.get("targets", ()))
        return targets.version

    def publish(self, archives: Mapping[Path, Manifest], rollout_percent: int, signers: Signers) -> list[str]:
        """Add releases, or none, and say anew that all of it is the newest.

        Args:
            archives: archive to its manifest.
            rollout_percent: share of the fleet that takes these releases without being told to.
            signers: who is here; a role whose key is elsewhere is signed there: `sign`.

        Returns:
            Roles that still have to be signed.

        Raises:
            ReleaseRefused: one of that name is published already and is another.
        """
        releases = self._releases()
        for archive, manifest in archives.items():
            self._add(releases.signed, archive, {
                "version": manifest.version, "platform": manifest.platform, "rollout_percent": rollout_percent,
            })  # fmt: skip
        if archives or not self._version(RELEASES):
            self._renew(RELEASES, releases, signers)
        return self._say_newest(signers)

    def set_rollout(self, name: str, rollout_percent: int, signers: Signers) -> list[str]:
        """Let another share of the fleet take a published release; 0 holds it back.

        Raises:
            ReleaseRefused: it is not published.
        """
        releases = self._releases()
        if name not in releases.signed.targets:
            raise ReleaseRefused(f"{name} is not published", f"Name one of: {', '.join(releases.signed.targets)}.")
        target = releases.signed.targets[name]
        target.unrecognized_fields["custom"] = {**target.custom, "rollout_percent": rollout_percent}
        self._renew(RELEASES, releases, signers)
        return self._say_newest(signers)

    def sign(self, role: str, signer: CryptoSigner) -> list[str]:
        """Add one signature to the newest metadata of a role; the roles that still have to be signed."""
        metadata = self._read(role)
        metadata.sign(signer, append=True)
        metadata.to_file(str(self._path(role, metadata.signed.version)), _SERIALIZER)
        return self.unsigned()

    def unsigned(self) -> list[str]:
        """Roles whose newest metadata is not signed by enough of those who must."""
        return [role for role in ROLES if self._version(role) and not self._is_signed(role)]

    def _is_signed(self, role: str) -> bool:
        try:
            self._delegator(role).verify_delegate(role, self._read(role))
        except (RepositoryError, ValueError):
            return False
        return True

    def _delegator(self, role: str) -> Metadata[Any]:
        return self._read("targets" if role == RELEASES else "root")

    def _releases(self) -> Metadata[Targets]:
        if not self._version("targets"):
            raise ReleaseRefused("the repository has no role for releases", "Run: fvctl release keys delegate")
        if self._version(RELEASES):
            return self._read(RELEASES)
        return Metadata(Targets())

    def _add(self, releases: Targets, archive: Path, custom: dict[str, Any]) -> None:
        target = TargetFile.from_file(archive.name, str(archive), ["sha256"])
        known = releases.targets.get(archive.name)
        if known is not None and known.hashes != target.hashes:
            raise ReleaseRefused(
                f"{archive.name} is published and is another", "A version is published once: raise it."
            )
        target.unrecognized_fields["custom"] = custom
        releases.targets[archive.name] = target
        stored = self._targets / f"{target.hashes['sha256']}.{archive.name}"
        if not stored.exists():
            making = stored.with_name(f".making-{stored.name}")
            making.write_bytes(archive.read_bytes())
            with making.open("rb") as written:
                target.verify_length_and_hashes(written)
            making.replace(stored)

    def _say_newest(self, signers: Signers) -> list[str]:
        """A snapshot of what there is, and a timestamp for it."""
        meta = {f"{role}.json": MetaFile(self._version(role)) for role in ("targets", RELEASES) if self._version(role)}
        self._renew("snapshot", Metadata(Snapshot(meta=meta)), signers)
        newest = MetaFile(self._version("snapshot"))
        self._renew("timestamp", Metadata(Timestamp(snapshot_meta=newest)), signers)
        return self.unsigned()

    def _renew(self, role: str, metadata: Metadata[Any], signers: Signers) -> None:
        metadata.signed.version = self._version(role) + 1
        metadata.signed.expires = self._expires(role)
        if role == RELEASES:
            metadata.signed.unrecognized_fields[SIGNED_FIELD] = self._now().isoformat(timespec="seconds")
        self._write(role, metadata, signers.get(role, ()))

    def _expires(self, role: str) -> datetime:
        return self._now().replace(microsecond=0) + timedelta(days=VALID_DAYS[role])

    def _version(self, role: str) -> int:
        """Of a role's newest metadata; 0 where there is none."""
        if role == "timestamp":
            path = self._metadata / "timestamp.json"
            return Metadata[Timestamp].from_file(str(path)).signed.version if path.exists() else 0
        found = [int(path.name.partition(".")[0]) for path in self._metadata.glob(f"[0-9]*.{role}.json")]
        return max(found, default=0)

    def _path(self, role: str, version: int) -> Path:
        return self._metadata / ("timestamp.json" if role == "timestamp" else f"{version}.{role}.json")

    def _read(self, role: str) -> Metadata[Any]:
        version = self._version(role)
        if not version:
            raise ReleaseRefused(f"the repository has no {role}", "Run: fvctl release keys root")
        return Metadata.from_file(str(self._path(role, version)))

    def _write(self, role: str, metadata: Metadata[Any], signers: Sequence[CryptoSigner] = ()) -> None:
        metadata.signatures.clear()
        for signer in signers:
            metadata.sign(signer, append=True)
        write_whole(self._path(role, metadata.signed.version), metadata.to_bytes(_SERIALIZER))
