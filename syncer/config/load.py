"""
From a file and the environment to ``Settings``.

Owns where config.toml is looked for, and reading it. Never connects, never writes, never reads
credentials.
Invariant: what it returns passed every check; what it raises names key, value, origin and remedy.
Kind: edge (file system; the environment is an argument).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from syncer.config.problems import raise_problems
from syncer.config.reader import Reader
from syncer.config.rules import warnings_of
from syncer.config.settings import (
    HistorySettings,
    HttpSettings,
    LeaseSettings,
    LimitsSettings,
    LogSettings,
    Settings,
    SourceSettings,
    default_data_dir,
)
from syncer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_CONFIG = Path("/etc/syncer/config.toml")
CONFIG_VARIABLE = "SYNCER_CONFIG"
MAX_FILE_BYTES = 1_048_576
"""A hundred times the longest sensible file; what has no end, as /dev/zero, is not read to it."""


def find_config(
    explicit: str | None,
    environ: Mapping[str, str],
    cwd: Path,
    *,
    system: Path = SYSTEM_CONFIG,
) -> Path | None:
    """The configuration file to read: flag, $SYNCER_CONFIG, ./config.toml, the system's, none.

    Raises:
        ConfigError: a file that was named is not there, or cannot be looked at.
    """
    variable = environ.get(CONFIG_VARIABLE)
    for named, by in ((explicit, "--config"), (variable, f"${CONFIG_VARIABLE}")):
        if named:
            path = cwd / named
            if not _is_there(path):
                raise ConfigError(
                    f"the configuration file {path}, named by {by}, is not there",
                    hint=f"Correct {by}, or write the file with 'syncer init {path}'.",
                )
            return path
    return next((path for path in (cwd / "config.toml", system) if _is_there(path)), None)


def load_settings(
    path: Path | None, environ: Mapping[str, str], *, is_root: bool | None = None
) -> Settings:
    """Read, override, check; without a path the built-in defaults, overridden as well.

    Raises:
        ConfigError: one, for everything that is wrong.
    """
    reader = Reader(_read_document(path) if path else {}, str(path), environ)
    settings = Settings(
        source=reader.section(SourceSettings, "source"),
        database=reader.database(default_data_dir(is_root=is_root)),
        catalogs=reader.catalogs(),
        lease=reader.section(LeaseSettings, "lease"),
        limits=reader.section(LimitsSettings, "limits"),
        history=reader.section(HistorySettings, "history"),
        http=reader.section(HttpSettings, "http"),
        log=reader.section(LogSettings, "log"),
        path=path,
        origins=MappingProxyType(reader.report.origins),
    )
    reader.refuse_leftovers()
    raise_problems(reader.report.problems)
    return replace(settings, warnings=(*reader.report.warnings, *warnings_of(settings)))


def _is_there(path: Path) -> bool:
    # Not is_file(): a configuration may come through a pipe, as in --config <(…).
    try:
        return path.exists() and not path.is_dir()
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_document(path: Path) -> dict[str, Any]:
    try:
        content = _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: byte {error.start} cannot be read",
            hint="Save the file as UTF-8.",
        ) from error
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, content, str(error)) from error


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(
            f"{path} is longer than {MAX_FILE_BYTES} bytes, which no configuration is",
            hint="Name the right file; 'syncer init' writes a working example.",
        )
    return content


def _syntax_error(path: Path, content: str, message: str) -> ConfigError:
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    line, column = found.groups() if found else (str(content.count("\n") + 1), "1")
    reason = re.sub(r" \(at [^()]*\)$", "", message)
    return ConfigError(
        f"{path}:{line}:{column}: this is not TOML: {reason[:1].lower()}{reason[1:]}",
        hint="Correct that line (text stands in quotes); 'syncer init' writes a working example.",
    )


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be read: {(error.strerror or 'unknown reason').lower()}",
        hint="Give this user the right to read it, or name another file with --config.",
    )
