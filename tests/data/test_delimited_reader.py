"""The reader of CSV and TSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.documents import Block, Problem
from data.errors import BadInput
from data.readers.scan import scan
from data.readers.structure import Content
from data.tables import row_statements


def read(path: Path, data: bytes) -> list[Content]:
    path.write_bytes(data)
    (document,) = scan(path)
    return list(document.read())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"metal,melts at\niron,1811 K\ntin,505 K\n"),
        ("a.csv", "metal;melts at\r\niron;1811 K\r\ntin;505 K\r\n".encode("utf-8-sig")),
        ("a.tsv", "metal\tmelts at\niron\t1811 K\ntin\t505 K".encode("utf-16")),
        ("a.csv", b'"metal","melts at"\n"iron","1811\nK"\n"tin","505 K"\n'),
    ],
)
def test_the_rows_of_any_dialect_are_a_table(tmp_path: Path, name: str, data: bytes) -> None:
    (block,) = (c for c in read(tmp_path / name, data) if isinstance(c, Block))
    assert block.role == "table"
    assert row_statements(block.text) == ["iron: melts at 1811 K", "tin: melts at 505 K"]


def test_rows_beyond_the_limit_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data.readers.delimited.MAX_ROWS", 3)
    block, problem = read(tmp_path / "a.csv", b"n,square\n1,1\n2,4\n3,9\n")
    assert isinstance(block, Block)
    assert row_statements(block.text) == ["1: square 1", "2: square 4"]
    assert isinstance(problem, Problem)
    assert problem.kind == "table"


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty file"), (b",,\n,,\n", "no values")])
def test_a_file_without_values_is_bad_input(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=rf"^a.csv: .*{reason}"):
        read(tmp_path / "a.csv", data)


def test_a_field_without_end_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no table in rows"):
        read(tmp_path / "a.csv", b'a,b\n"' + b"x" * 200_000)
