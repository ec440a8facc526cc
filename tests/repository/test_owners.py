"""Each library that reads what others sent, or that could be exchanged, is imported by its one owner only."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.conftest import REPOSITORY

OWNERS = {
    "falcon": ("daemon/api/", "daemon/app.py"),
    "gunicorn": ("daemon/gunicorn_conf.py", "daemon/connections.py"),
    "cryptography": (
        "daemon/sealed/",
        "tools/key_making.py",
        "tools/keys.py",
        "tools/authority.py",
        "tools/releases/role_keys.py",
    ),
    "joserfc": ("tools/sealing.py", "tools/key_making.py", "tools/support_bundle_seal.py"),
    "pkcs11": ("daemon/sealed/token.py",),
    "pybase64": ("daemon/sealed/",),
    "PIL": ("daemon/photo/pictures.py",),
    "simplejpeg": ("daemon/photo/jpeg.py",),
    "onnxruntime": ("daemon/inference/",),
    "prometheus_client": ("daemon/audit.py",),
    "onnx": (
        "tools/recipe.py",
        "tools/quantisation.py",
        "tools/quantise.py",
        "tools/portable.py",
        "tools/preflight.py",
    ),
    "elftools": ("tools/wheels.py",),
    "unearth": ("tools/fetch.py",),
    "rich": ("tools/console.py",),
    "shtab": ("tools/completion.py",),
    "matplotlib": ("tools/report.py", "tools/benchmark/plot.py"),
}
"""Library to the files or folders that may import it; tests may import anything."""


def _imports() -> Iterator[tuple[str, str]]:
    """Every file of the product, and each top-level package that it imports."""
    for path in (path for root in ("daemon", "tools") for path in (REPOSITORY / root).rglob("*.py")):
        where = str(path.relative_to(REPOSITORY))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((where, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield where, node.module.partition(".")[0]


IMPORTS = set(_imports())


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_by_its_owner_and_nobody_else(library: str) -> None:
    importers = sorted(where for where, imported in IMPORTS if imported == library)
    assert importers != []
    assert [where for where in importers if not where.startswith(OWNERS[library])] == []
