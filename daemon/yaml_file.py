"""Reads YAML files into checked records: configuration, manifests, and what our tools keep on disk.

An unknown key is a fault, a key given twice is a fault, and all faults of a file are reported together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from daemon.errors import ConfigurationRefused

T = TypeVar("T")

STRICT = pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=False)
"""No unknown keys, and no text where a number belongs."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys silently; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """See yaml.SafeLoader; raises ConstructorError where a key comes twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {', '.join(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, kind: type[T], secret: bool = False) -> T:
    """One YAML file as a checked record.

    Args:
        path: the file.
        kind: a pydantic dataclass made with STRICT.
        secret: never repeat what the file holds, also where it has faults.

    Returns:
        The record.

    Raises:
        ConfigurationRefused: the file is missing, is not YAML, or has faults; all of them are named.
    """
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
        # Strict JSON rules let lists be tuples and text be paths, and nothing else.
        plain = json.dumps(document, default=str)
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        seen = type(error).__name__ if secret else error
        raise ConfigurationRefused(f"{path} cannot be read: {seen}", f"Repair {path}.") from None
    try:
        return pydantic.TypeAdapter(kind).validate_json(plain, strict=True)
    except pydantic.ValidationError as error:
        faults = "\n".join(_fault(detail, secret) for detail in error.errors(include_url=False))
        raise ConfigurationRefused(
            f"{path} has {error.error_count()} fault(s):\n{faults}", f"Correct the named lines of {path}."
        ) from None


def _fault(detail: Any, secret: bool) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict
    where = ".".join(str(part) for part in detail["loc"])
    hidden = secret or detail["type"] == "missing"
    seen = "" if hidden else f" (seen: {json.dumps(detail['input'], default=str)[:80]})"
    return f"  {where}: {detail['msg']}{seen}"
