"""The house rules that a machine can check: one meaning one name, docstrings, sizes, one source."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from unirag.settings.describe import describe_settings, settings_markdown

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "generation", "kernels", "retrieval", "ui", "unirag")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
MAX_LINES = 400
MAX_README_LINES = 90
# Words that hide what a value is. A noun of the domain says it.
RIDDLES = frozenset("said told asked shown taken kept heard given lacking beside".split())
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public_definitions(path: Path) -> Iterator[tuple[str, Definition]]:
    """Yield the public classes and functions of a file, and the public methods of such classes."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    for node in module.body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, Definition) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def test_every_public_class_has_a_name_of_its_own() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for name, node in _public_definitions(path):
            if isinstance(node, ast.ClassDef) and "." not in name:
                places[name].append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_every_public_name_has_a_docstring() -> None:
    """Overriding methods may inherit theirs."""
    inherited = {
        name.split(".")[1]
        for path in FILES
        for name, node in _public_definitions(path)
        if "." in name and ast.get_docstring(node)
    }
    bare = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        for name, node in _public_definitions(path)
        if not ast.get_docstring(node) and name.split(".")[-1] not in inherited
    ]
    assert bare == []


def test_no_parameter_or_field_has_a_riddle_for_a_name() -> None:
    riddles = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.arg):
                names = [node.arg]
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
                names = [n.id for n in [node.target] if isinstance(n, ast.Name)]
            elif isinstance(node, ast.Assign):
                names = [n.id for n in node.targets if isinstance(n, ast.Name)]
            riddles += [
                f"{path.relative_to(ROOT)}:{node.lineno} {name}"
                for name in names
                if name.strip("_") in RIDDLES
            ]
    assert riddles == []


def test_files_stay_small() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in FILES}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_every_setting_says_what_it_does() -> None:
    descriptions = describe_settings()
    assert [d.key for d in descriptions if not d.text.endswith(".")] == []
    assert len({d.key for d in descriptions}) == len(descriptions) > 50


def test_the_settings_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_markdown(), "run: python -m unirag.settings.describe > docs/settings.md"
