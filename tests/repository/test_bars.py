"""The bars of the project's style, in numbers, and that names keep what they promise."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

import daemon
from tests.conftest import REPOSITORY

MODULES = sorted(path for root in ("daemon", "tools") for path in (REPOSITORY / root).rglob("*.py"))
EMPTY_NAMES = {"utils", "helpers", "common", "core", "base", "manager", "service", "misc"}
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "daemon",
    "trt_engines",
    "systemd",
    "tests",
    "tools",
}


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def _functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}", node


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_no_module_is_longer_than_300_lines() -> None:
    assert [str(path) for path in MODULES if _lines(path) > 300] == []


def test_half_of_the_modules_have_at_most_150_lines() -> None:
    assert statistics.median(_lines(path) for path in MODULES if _lines(path) > 4) <= 150


def test_no_function_is_longer_than_40_lines() -> None:
    assert [where for where, node in _functions() if _length(node) > 40] == []


def test_half_of_the_functions_have_at_most_12_lines() -> None:
    assert statistics.median(_length(node) for _, node in _functions()) <= 12


def test_no_function_takes_more_than_four_parameters() -> None:
    def taken(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        return len([arg for arg in node.args.posonlyargs + node.args.args if arg.arg not in ("self", "cls")])

    assert [where for where, node in _functions() if taken(node) > 4 and "__exit__" not in where] == []


def test_every_public_function_is_documented() -> None:
    missing = [where for where, node in _functions() if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert missing == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in MODULES if path.stem in EMPTY_NAMES] == []


def test_no_exception_has_two_bases() -> None:
    tree = ast.parse((REPOSITORY / "daemon" / "errors.py").read_text("utf-8"))
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef) and len(node.bases) != 1] == []


def test_comments_are_neither_rare_nor_many() -> None:
    lines = [line for path in MODULES for line in path.read_text("utf-8").splitlines() if line.strip()]
    comments = [line for line in lines if line.strip().startswith("#") or "  # " in line]
    assert 1 <= 100 * len(comments) / len(lines) <= 8


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    found = {path.name for path in REPOSITORY.iterdir() if not path.name.startswith(".")}
    assert found == TOP_LEVEL


def test_daemon_is_ours_and_not_the_package_index_one() -> None:
    assert daemon.__file__ is not None
    assert Path(daemon.__file__).parent == REPOSITORY / "daemon"


@pytest.mark.parametrize("folder", ["trt_engines", "systemd", "tests", "tools"])
def test_every_folder_opens_with_a_readme_of_one_screen(folder: str) -> None:
    assert 3 <= _lines(REPOSITORY / folder / "README.md") <= 60


@pytest.mark.parametrize("network", ["yunet", "sface", "sface_int8"])
def test_every_network_says_what_was_measured(network: str) -> None:
    assert "%" in (REPOSITORY / "trt_engines" / network / "README.md").read_text("utf-8")


def test_every_module_of_the_daemon_has_its_tests() -> None:
    mirrored = {path.relative_to(REPOSITORY / "tests") for path in (REPOSITORY / "tests").rglob("test_*.py")}
    without_logic = {"__init__.py", "wsgi.py", "gunicorn_conf.py", "app.py", "health.py", "verification.py"}
    wanted = {
        path.relative_to(REPOSITORY).with_name(f"test_{path.name}")
        for path in MODULES
        if path.parts[len(REPOSITORY.parts)] == "daemon" and path.name not in without_logic
    }
    assert sorted(map(str, wanted - mirrored)) == []
