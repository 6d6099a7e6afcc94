"""
The effective configuration for people, and the example file for newcomers.

Owns how a value is written out (as TOML would take it back) and where the example text lies.
Invariant: a password never appears in what ``describe`` returns.
Kind: edge (reads one file of the package).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.config.keys import keys_of
from syncer.config.reader import DEFAULT
from syncer.config.settings import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncer.config.settings import Settings

_EXAMPLE = "config.example.toml"


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """One key of the effective configuration."""

    key: str
    value_text: str
    """As it would stand in config.toml, secrets shown as ``***``."""
    origin: str
    """``default``, the file's path, ``environment <NAME>`` or ``DATABASE_URL``."""

    def to_json(self) -> dict[str, str]:
        """The form for ``syncer check --json``."""
        return {"key": self.key, "value": self.value_text, "origin": self.origin}


def describe(settings: Settings) -> list[ConfigValue]:
    """Every key with its value and origin: sections first, then the catalogs."""
    return [
        ConfigValue(name, _as_toml(value), settings.origins.get(name, DEFAULT))
        for name, value in _values(settings)
    ]


def _values(settings: Settings) -> Iterator[tuple[str, object]]:
    parts: list[tuple[str, object]] = [(name, getattr(settings, name)) for name in SECTIONS]
    parts += [(f"catalog.{catalog.name}", catalog) for catalog in settings.catalogs]
    for prefix, part in parts:
        for key in keys_of(type(part)):
            value = settings.database.safe_url if key.secret else getattr(part, key.name)
            yield f"{prefix}.{key.name}", value


def _as_toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # JSON is TOML for text without control characters, for numbers, booleans and lists.
    return json.dumps(value, ensure_ascii=False, default=str)


def example_config() -> str:
    """The text of config.example.toml, which ``syncer init`` writes."""
    from importlib import resources  # noqa: PLC0415 - 'syncer --help' must not pay for it

    packaged = resources.files("syncer").joinpath("_sql", _EXAMPLE)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / _EXAMPLE).read_text(encoding="utf-8")
