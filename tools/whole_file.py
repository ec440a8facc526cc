"""Writes a file whole or not at all: whoever reads it sees the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file's content in one step that a power cut leaves done or undone.

    The file gets its folder's owner, so that what root writes for the daemon can be read by the daemon.

    Args:
        path: the file.
        content: all of it.
        mode: permissions, the umask aside.
    """
    making = path.with_name(f"{path.name}.making")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        give_to_owner_of(path.parent, file.fileno())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """A folder that its owner alone may enter, and that belongs to whom the folder above belongs to."""
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            give_to_owner_of(folder.parent, descriptor)
        finally:
            os.close(descriptor)
        sync_folder(folder.parent)


def open_in_place(path: Path) -> int:
    """Descriptor of a file that is read and written where it is, made where it is missing; its owner's alone.

    Never what a link points to: the folder may be another account's, and root writes there.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    give_to_owner_of(path.parent, descriptor)
    return descriptor


def give_to_owner_of(folder: Path, descriptor: int) -> None:
    """Where root writes, the file belongs to whom its folder belongs to."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
