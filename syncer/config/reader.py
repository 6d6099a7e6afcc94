"""
Values, origins and problems, section by section.

Owns the names of the overriding environment variables, who wins, and what is said about a value
that cannot be used or a key that does not exist. Never opens a file, never raises for content:
problems are collected, so that one run names them all.
Invariant: a value from a place that may hold a secret is never part of a message.
Kind: pure.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from syncer.config import rules
from syncer.config.catalog import CATALOG_NAME, CatalogSettings
from syncer.config.keys import keys_of
from syncer.config.kinds import BadValueError
from syncer.config.problems import Report, did_you_mean
from syncer.config.settings import SECTIONS, DatabaseSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncer.config.keys import Key

S = TypeVar("S")

DEFAULT = "default"
DATABASE_VARIABLE = "DATABASE_URL"
MAX_SHOWN_CHARS = 60
_PREFIX = "SYNCER_"
_CATALOG_PREFIX = "SYNCER_CATALOG__"


@dataclass(frozen=True, slots=True)
class _Written:
    """One value as somebody wrote it, and where."""

    value: object
    origin: str
    in_environment: bool = False


class Reader:
    """Lives while one configuration is read; ``report`` is what it found besides values."""

    def __init__(self, document: Mapping[str, object], file: str, env: Mapping[str, str]) -> None:
        self.report = Report()
        self._file = file
        self._env = env
        self._variables: set[str] = set()
        self._unusable: set[str] = set()
        self._tables = self._tables_of(document)

    def section(self, section: type[S], name: str) -> S:
        """One table of the file that stands in it once."""
        return self._section(section, name, self._tables.get(name, {}))

    def database(self, default_data_dir: Path) -> DatabaseSettings:
        """As ``section``, with $DATABASE_URL and a data directory where none is given."""
        database = self.section(DatabaseSettings, "database")
        if self.report.origins["database.data_dir"] == DEFAULT or database.data_dir == Path():
            database = replace(database, data_dir=default_data_dir)
        url = self._env.get(DATABASE_VARIABLE)
        if database.url or url is None:
            return database
        if not url.strip():
            self.report.warnings.append(f"{DATABASE_VARIABLE} is set but empty; it counts as unset")
            return database
        given: dict[str, Any] = {}
        key = next(key for key in keys_of(DatabaseSettings) if key.name == "url")
        self._accept("database.url", key, _Written(url, DATABASE_VARIABLE, True), given)
        self.report.origins["database.url"] = DATABASE_VARIABLE
        return replace(database, **given)

    def catalogs(self) -> tuple[CatalogSettings, ...]:
        """All catalogs in the order of the file; the built-in one when it has none."""
        tables: Sequence[Mapping[str, object]] = self._tables.get("catalog", [{}])
        default = CatalogSettings().name
        for name, count in Counter(str(table.get("name", default)) for table in tables).items():
            if count > 1:
                self.report.add(
                    f"{count} catalogs have the name '{name}' ({self._file})",
                    "Give each [[catalog]] a name of its own.",
                )
        return tuple(self._catalog(number, table) for number, table in enumerate(tables, start=1))

    def refuse_leftovers(self) -> None:
        """Complain of every variable meant for us that no key has read; call this last."""
        spellings = {_plain(name): name for name in self._variables}
        for name in sorted(self._env):
            if not name.startswith(_PREFIX) or name in self._variables:
                continue
            meant = spellings.get(_plain(name))
            # Without "__" any other variable is not ours: Kubernetes sets SYNCER_SERVICE_HOST and
            # the like for a service that is called syncer.
            if meant:
                remedy = (
                    f"Did you mean {meant}? Section, name and key are parted by two underscores."
                )
                self.report.add(f"{name} (environment) is no key", remedy)
            elif "__" in name.removeprefix(_PREFIX):
                self.report.add(f"{name} (environment) is no key", self._meant(name))

    def _tables_of(self, document: Mapping[str, object]) -> dict[str, Any]:
        tables: dict[str, Any] = {}
        for name, value in document.items():
            where = f"{name} ({self._file})"
            if name == "catalog":
                if _is_list_of_tables(value):
                    tables[name] = value
                else:
                    self.report.add(
                        f"{where} is not a list of tables",
                        "Begin each catalog with a line [[catalog]], in two pairs of brackets.",
                    )
            elif name not in SECTIONS:
                self.report.add(f"{where} is neither a section nor in one", _place_for(name))
            elif isinstance(value, dict):
                tables[name] = value
            else:
                self.report.add(f"{where} is not a table", f"Begin it with a line [{name}].")
        return tables

    def _catalog(self, number: int, table: Mapping[str, object]) -> CatalogSettings:
        name = table.get("name", CatalogSettings().name)
        addressable = isinstance(name, str) and CATALOG_NAME.fullmatch(name)
        prefix = f"catalog.{name if addressable else number}"
        catalog = self._section(CatalogSettings, prefix, table)
        if not {f"{prefix}.name", f"{prefix}.privacy"} & self._unusable:
            self.report.problems.extend(rules.catalog_problems(catalog))
        return catalog

    def _section(self, section: type[S], prefix: str, table: Mapping[str, object]) -> S:
        given: dict[str, Any] = {}
        keys = {key.name: key for key in keys_of(section)}
        for key in keys.values():
            dotted = f"{prefix}.{key.name}"
            written = self._written(dotted, table)
            self.report.origins[dotted] = written.origin if written else DEFAULT
            if written:
                self._accept(dotted, key, written, given)
        for name in table:
            if name not in keys:
                self.report.add(
                    f"{prefix}.{name} ({self._file}) is no key",
                    rules.unknown_key(prefix.partition(".")[0], name, keys),
                )
        return section(**given)

    def _written(self, dotted: str, table: Mapping[str, object]) -> _Written | None:
        name = dotted.rpartition(".")[2]
        variable = _PREFIX + dotted.upper().replace(".", "__")
        # A catalog's name is how its variables address it, so no variable changes it.
        if name != "name":
            self._variables.add(variable)
            if variable in self._env:
                return _Written(self._env[variable], f"environment {variable}", True)
        return _Written(table[name], self._file) if name in table else None

    def _accept(self, dotted: str, key: Key, written: _Written, given: dict[str, Any]) -> None:
        try:
            value = written.value
            if written.in_environment:
                value = key.kind.read_text(str(value))
            given[key.name] = key.kind.accept(value)
        except BadValueError as error:
            self._unusable.add(dotted)
            shown = "" if key.secret else f" = {_show(written.value)}"
            why = f", {error}" if str(error) else ""
            self.report.add(
                f"{dotted}{shown} ({written.origin}): expected {key.kind.expects}{why}",
                error.remedy or "Correct it, or remove it to get the default.",
            )

    def _meant(self, variable: str) -> str:
        if not variable.startswith(_CATALOG_PREFIX):
            section, _, name = variable.removeprefix(_PREFIX).lower().partition("__")
            return rules.refusal(section, name) or did_you_mean(variable, self._variables)
        name, _, key = variable.removeprefix(_CATALOG_PREFIX).lower().rpartition("__")
        known = {
            dotted.split(".")[1] for dotted in self.report.origins if dotted.startswith("catalog.")
        }
        if name not in known:
            return f"No catalog is called '{name}'. {did_you_mean(name, known)}"
        if key == "name":
            return "Variables address a catalog by its name; change the name in the file."
        return rules.unknown_key("catalog", key, [each.name for each in keys_of(CatalogSettings)])


def _plain(variable: str) -> str:
    """A variable's name without its structure: equal for those that differ in underscores only."""
    return re.sub("_+", "_", variable)


def _place_for(name: str) -> str:
    homes = [
        f"[{section}]"
        for section, settings in {**SECTIONS, "[catalog]": CatalogSettings}.items()
        if name in {key.name for key in keys_of(settings)}
    ]
    if homes:
        return f"The key belongs below the line {' or '.join(homes)}."
    return did_you_mean(name, [*SECTIONS, "catalog"])


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _show(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    # What looks like a URL may carry a password or a token where none is allowed.
    text = re.sub(r"//.*@", "//***@", text)
    text = re.sub(r"(//[^?#]*[?#])[^\"]*", r"\1***", text)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"
