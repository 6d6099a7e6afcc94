"""The README says what is true of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncer.api.query import PARAMETERS, SeedParameter
from syncer.config import example_config
from syncer.errors import ExitCode

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_parameter_of_the_reference_page_has_its_row(
    parameter: SeedParameter,
) -> None:
    key = f"`{parameter.key_or_none}`" if parameter.key_or_none else "-"
    row = f"| `{parameter.name}` | {parameter.use} | {key} | {parameter.reason} |"

    assert row in README


def test_the_table_has_no_row_beyond_those() -> None:
    table = README.split("### The parameters of `GET /models`", 1)[1].split("## The database", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert [parameter.name for parameter in PARAMETERS] == rows


def test_keys_that_set_a_parameter_stand_in_the_example_configuration() -> None:
    keys = {p.key_or_none.split(".", 1)[1] for p in PARAMETERS if p.key_or_none}
    missing = {key for key in keys if not re.search(rf"^{key} = ", example_config(), re.MULTILINE)}

    assert set() == missing


def test_every_exit_code_is_explained() -> None:
    text = README.split("Exit codes:", 1)[1].split("## Configuration", 1)[0]

    assert [] == [int(code) for code in ExitCode if f"`{int(code)}`" not in text]


def test_files_that_the_readme_names_exist() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`(tests/[\w/.]+\.py)`", README) + re.findall(r"\]\(([\w.]+)\)", README)

    assert [] == [name for name in named if not (root / name).exists()]
