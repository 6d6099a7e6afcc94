"""
Rows as text or Parquet: what an export and an answer to SQL look like.

Owns how each value is spelled. Never reads a database, never opens a file.
Invariant: a value that JSON has is that in JSON; times are RFC 3339 in UTC; ``body`` is never
decoded, so its numbers keep every digit.
Kind: pure.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from syncer.attention import plain

if TYPE_CHECKING:
    from syncer.store.answering import Column

Rows = Sequence[Sequence[object]]
Encode = Callable[[Rows], bytes]

_JSON_TYPES: Final = frozenset({"json", "jsonb"})


_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


def _for_json(value: object, kind: str) -> object:
    if isinstance(value, bytes):
        return msgspec.Raw(value) if kind in _JSON_TYPES else f"\\x{value.hex()}"
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        # JSON has none of them, and null is another value.
        return str(value)
    if isinstance(value, list | tuple):
        return [_for_json(item, kind.removesuffix("[]")) for item in value]
    return value


def _instant(value: datetime) -> str:
    """Always with microseconds: readers guess the form of a column from its first rows."""
    text = value.isoformat(timespec="microseconds")
    return f"{text.removesuffix('+00:00')}Z" if text.endswith("+00:00") else text


def shown(value: object, kind: str) -> str:
    """A value for people and for CSV; nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode() if kind in _JSON_TYPES else f"\\x{value.hex()}"
    if isinstance(value, int | float | Decimal):
        return str(value)
    text = _ENCODER.encode(_for_json(value, kind)).decode()
    return text[1:-1] if text.startswith('"') else text


def json_lines(columns: Sequence[Column]) -> Encode:
    """One object a line; of columns with one name the last."""
    names = [column.name for column in columns]
    kinds = [column.type for column in columns]

    def encode(rows: Rows) -> bytes:
        return b"".join(
            _ENCODER.encode(dict(zip(names, map(_for_json, row, kinds), strict=True))) + b"\n"
            for row in rows
        )

    return encode


def csv_lines(columns: Sequence[Column]) -> Encode:
    """RFC 4180; arrays and objects as JSON; NULL is empty. The header stands before all rows."""
    kinds = [column.type for column in columns]
    header = [column.name for column in columns]

    def encode(rows: Rows) -> bytes:
        nonlocal header
        text = io.StringIO()
        writer = csv.writer(text)
        if header:
            writer.writerow(header)
            header = []
        writer.writerows([list(map(shown, row, kinds)) for row in rows])
        return text.getvalue().encode()

    return encode


def table_lines(columns: Sequence[Column]) -> Encode:
    """Text under a header, as wide as the first rows need; nothing that a terminal obeys."""
    kinds = [column.type for column in columns]
    header = [plain(column.name) for column in columns]
    widths: list[int] = []

    def line(cells: Sequence[str]) -> str:
        filled = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        return " | ".join(filled).rstrip()

    def encode(rows: Rows) -> bytes:
        cells = [[plain(text) for text in map(shown, row, kinds)] for row in rows]
        lines = []
        if columns and not widths:
            widths.extend(max(map(len, column)) for column in zip(header, *cells, strict=True))
            lines = [line(header), "-+-".join("-" * width for width in widths)]
        lines += [line(row) for row in cells]
        return "".join(f"{each}\n" for each in lines).encode()

    return encode


class ParquetWriter:
    """Rows into one Parquet file, a row group at a time.

    Args:
        columns: of the rows.
        file: open for writing; the caller closes it.
        group_rows: rows of a group, which are in memory until it is full.
        group_bytes: a group that has so many bytes of JSON is full as well.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        file: io.BufferedIOBase,
        *,
        group_rows: int = 20_000,
        group_bytes: int = 32 * 2**20,
    ) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to load
        from pyarrow import parquet  # noqa: PLC0415

        self._arrow: Any = pa
        self._schema = pa.schema(
            [pa.field(column.name, _arrow_type(column.type)) for column in columns]
        )
        self._kinds = [column.type for column in columns]
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._group_rows, self._group_bytes = group_rows, group_bytes
        self._rows: list[Sequence[object]] = []
        self._bytes = 0

    def write(self, rows: Rows) -> None:
        """Take rows; full groups are written."""
        for row in rows:
            self._rows.append(row)
            self._bytes += sum(len(value) for value in row if isinstance(value, bytes | str))
            if len(self._rows) >= self._group_rows or self._bytes >= self._group_bytes:
                self._flush()

    def close(self) -> None:
        """Write what is left, and the footer without which the file is none."""
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = [
            [_for_arrow(row[place], kind) for row in self._rows]
            for place, kind in enumerate(self._kinds)
        ]
        arrays = [
            self._arrow.array(values, type=field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_batch(
            self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema),
            row_group_size=len(self._rows),
        )
        self._rows, self._bytes = [], 0


def _for_arrow(value: object, kind: str) -> object:
    return value.decode() if isinstance(value, bytes) and kind in _JSON_TYPES else value


def _arrow_type(kind: str) -> object:
    import pyarrow as pa  # noqa: PLC0415

    known = {
        "text": pa.string(),
        "bool": pa.bool_(),
        "int4": pa.int32(),
        "int8": pa.int64(),
        "timestamptz": pa.timestamp("us", tz="UTC"),
        "jsonb": pa.string(),
        "text[]": pa.list_(pa.string()),
    }
    return known[kind]
