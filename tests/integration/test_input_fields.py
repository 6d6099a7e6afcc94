"""SQL reads an input form: the documented types fill their columns, anything else leaves NULL."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Rows = list[asyncpg.Record]

words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=4)
numbers = st.integers(-(2**70), 2**70) | st.sampled_from((0.5, -0.0, 1e300, 2.5e1))
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
TEXTS, NUMBERS = ("name", "type", "kind", "label"), ("min", "max")
OTHERS = ("required", "default", "allowedValues", "costImpact", "maxSize")
required = st.booleans() | st.fixed_dictionaries(
    {}, optional={"always": st.booleans() | values, "conditional": values}
)
fields = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(TEXTS, words | values)
    | dict.fromkeys(NUMBERS, numbers | values)
    | dict.fromkeys(OTHERS, values)
    | {"required": required | values},
)
forms = st.lists(fields | values, max_size=4) | values


@pytest.fixture(name="read")
def read_fixture(migrated_database_url: str) -> Iterator[Callable[[object], Rows]]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(migrated_database_url, timeout=10))
        query = "SELECT * FROM syncer.input_fields($1::text::jsonb) ORDER BY position"

        def read(record: object) -> Rows:
            return runner.run(connection.fetch(query, json.dumps(record)))

        yield read
        runner.run(connection.close())


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(form=forms)
def test_each_field_has_a_row_with_what_is_of_the_documented_type(
    read: Callable[[object], Rows], form: object
) -> None:
    rows = read({"id": "m", "inputs": form})
    listed: list[object] = form if isinstance(form, list) else []

    assert [row["position"] for row in rows] == list(range(1, len(listed) + 1))
    for row, field in zip(rows, listed, strict=True):
        told = field if isinstance(field, dict) else {}
        assert _exact(row["field"]) == _exact(json.dumps(field))
        assert [row[name] for name in TEXTS] == [_of(told, name, str) for name in TEXTS]
        assert [row["minimum"], row["maximum"]] == [_number(told.get(name)) for name in NUMBERS]
        assert row["is_required"] == _required(told.get("required"))
        assert row["has_cost_impact"] == _of(told, "costImpact", bool)
        assert (row["allowed_values"] is None) != isinstance(told.get("allowedValues"), list)
        if told.get("default") is None:
            assert row["default_value"] is None
        else:
            assert _exact(row["default_value"]) == _exact(json.dumps(told["default"]))


def test_a_record_without_a_form_has_no_fields(read: Callable[[object], Rows]) -> None:
    assert read({"id": "m"}) == []


def _of(field: dict[str, Any], name: str, kind: type) -> object:
    value = field.get(name)
    return value if isinstance(value, kind) else None


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(json.dumps(value))


def _required(value: object) -> bool | None:
    """A condition is no 'always'; what is neither flag nor object says nothing."""
    if isinstance(value, bool):
        return value
    return value.get("always") is True if isinstance(value, dict) else None


def _exact(text: str) -> object:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)
