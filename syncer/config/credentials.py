"""
Who we are to the source: API key and secret, a JWT, or nobody.

Owns the SCENARIO_SDK_* variables and their _FILE twins, which of them wins, and the header value.
Never writes a credential anywhere: ``repr`` and ``describe`` name places, not values.
Invariant: what was not read completely is an error, so a lost secret never turns a private
catalog into an empty public one.
Kind: edge (file system; the environment is an argument).
"""

from __future__ import annotations

import base64
import enum
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.config.problems import Problem, raise_problems
from syncer.domain import Privacy
from syncer.errors import ConfigError, SourceRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.config.settings import Settings

KEY_VARIABLE = "SCENARIO_SDK_API_KEY"
SECRET_VARIABLE = "SCENARIO_SDK_API_SECRET"  # noqa: S105 - a variable's name
JWT_VARIABLE = "SCENARIO_SDK_JWT"
PUBLIC_TOKEN = "public-auth-token"  # noqa: S105 - documented by the vendor, the same for everybody
MAX_FILE_BYTES = 65_536


class AuthKind(enum.StrEnum):
    """How requests are authorised."""

    BASIC = "basic"
    BEARER = "bearer"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class _Part:
    """One value and the place it came from; without a value it is unusable."""

    variable: str
    value: str
    path: Path | None = None

    @property
    def place(self) -> str:
        if self.path:
            return f"file {self.path} ({self.variable}_FILE)"
        return f"environment {self.variable}"

    def __repr__(self) -> str:
        return f"<credential from {self.place}>"

    def read_again(self) -> _Part:
        """The part with what its file holds now; raises ``_Unreadable``."""
        return replace(self, value=_read(self.path)) if self.path else self


class _UnreadableError(Exception):
    """A credential file that does not hold one usable value; the text says why."""


class Credentials:
    """The credentials of this process. Mutable: mounted secrets are rotated under our feet."""

    __slots__ = ("_earlier", "_note", "_parts", "kind")

    def __init__(self, kind: AuthKind, parts: tuple[_Part, ...] = (), *, note: str = "") -> None:
        self.kind = kind
        self._parts = parts
        self._note = note
        self._earlier: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Credentials {self.kind}>"

    def describe(self) -> str:
        """For ``syncer check``: the kind, where each part comes from, what is ignored and why."""
        places = " and ".join(f"{_what(part)} from {part.place}" for part in self._parts)
        return f"{self.kind}: {'; '.join(text for text in (places, self._note) if text)}"

    def authorization(self) -> str:
        """The header's value. A JWT file is read anew each time: a JWT lives about 60 s.

        Raises:
            SourceRefused: the JWT file can no longer be read; it may come back.
        """
        if self.kind is AuthKind.PUBLIC:
            return PUBLIC_TOKEN
        if self.kind is AuthKind.BASIC:
            return f"Basic {self._pair()}"
        try:
            self._take(tuple(part.read_again() for part in self._parts))
        except _UnreadableError as error:
            raise SourceRefused(
                f"there is no JWT to send: {error}",
                hint=f"Let the service that renews {JWT_VARIABLE}_FILE write it again.",
            ) from error
        return f"Bearer {self._parts[0].value}"

    def reload(self) -> None:
        """Read all files anew; when one cannot be read, everything stays as it was.

        Raises:
            ConfigError: a file is missing, empty or not one value.
        """
        try:
            self._take(tuple(part.read_again() for part in self._parts))
        except _UnreadableError as error:
            raise ConfigError(
                f"the credentials were not read anew: {error}",
                hint="Correct the file and send SIGHUP again; the earlier credentials stay.",
            ) from error

    def secrets(self) -> tuple[str, ...]:
        """Values that must never be logged, as of now and as of the last change."""
        return tuple(dict.fromkeys((*self._current(), *self._earlier)))

    def _current(self) -> tuple[str, ...]:
        values = tuple(part.value for part in self._parts)
        return (*values, self._pair()) if self.kind is AuthKind.BASIC else values

    def _take(self, parts: tuple[_Part, ...]) -> None:
        if parts != self._parts:
            self._earlier = self._current()
            self._parts = parts

    def _pair(self) -> str:
        key, secret = self._parts
        return base64.b64encode(f"{key.value}:{secret.value}".encode()).decode("ascii")


def load_credentials(
    settings_auth: str, environ: Mapping[str, str], *, for_daemon: bool = False
) -> Credentials:
    """The credentials that ``source.auth`` asks for.

    Args:
        settings_auth: ``auto``, ``basic``, ``bearer`` or ``public``.
        environ: The environment.
        for_daemon: ``syncer run`` takes a JWT from a file only, because one lives about 60 s.

    Raises:
        ConfigError: a variable is empty, half a pair is missing, a value and its file are both
            given, a file is not readable, or what ``settings_auth`` demands is not there.
    """
    names = [
        name
        for variable in (KEY_VARIABLE, SECRET_VARIABLE, JWT_VARIABLE)
        for name in (variable, f"{variable}_FILE")
        if name in environ
    ]
    if settings_auth == AuthKind.PUBLIC:
        note = f"{', '.join(names)} ignored, because source.auth is 'public'" if names else ""
        return Credentials(AuthKind.PUBLIC, note=note or "source.auth is 'public'")
    problems: list[Problem] = []
    key, secret, jwt = (
        _part(variable, environ, problems)
        for variable in (KEY_VARIABLE, SECRET_VARIABLE, JWT_VARIABLE)
    )
    if not problems:
        problems.extend(_pair_problems(key, secret))
    raise_problems(problems)
    pair = (key, secret) if key and secret else None
    return _choose(settings_auth, pair, jwt, for_daemon=for_daemon)


def validate_credentials(settings: Settings, credentials: Credentials) -> None:
    """Refuse private catalogs without credentials: their listings would be empty, not refused.

    Raises:
        ConfigError: a private catalog would be asked for with the public token.
    """
    private = [each.name for each in settings.catalogs if each.privacy is Privacy.PRIVATE]
    if private and credentials.kind is AuthKind.PUBLIC:
        raise ConfigError(
            f"private catalogs need credentials, but there are none ({credentials.describe()}): "
            f"{', '.join(private)}",
            hint=f"Set {KEY_VARIABLE} and {SECRET_VARIABLE} (or the same with _FILE).",
        )


def _choose(
    auth: str, pair: tuple[_Part, _Part] | None, jwt: _Part | None, *, for_daemon: bool
) -> Credentials:
    if auth == AuthKind.BASIC and not pair:
        raise ConfigError(
            "source.auth is 'basic', but there is no API key",
            hint=f"Set {KEY_VARIABLE} and {SECRET_VARIABLE} (or the same with _FILE).",
        )
    if auth == AuthKind.BEARER and not jwt:
        raise ConfigError(
            "source.auth is 'bearer', but there is no JWT",
            hint=f"Set {JWT_VARIABLE}_FILE to a file that is kept fresh, or {JWT_VARIABLE}.",
        )
    if pair and auth != AuthKind.BEARER:
        return Credentials(AuthKind.BASIC, pair, note=_ignored(auth, jwt))
    if not jwt:
        return Credentials(AuthKind.PUBLIC, note="no credentials in the environment")
    if for_daemon and not jwt.path:
        raise ConfigError(
            f"'syncer run' does not take a JWT from {JWT_VARIABLE}: one lives about 60 s",
            hint=f"Set {JWT_VARIABLE}_FILE to a file that is kept fresh, or use an API key.",
        )
    return Credentials(AuthKind.BEARER, (jwt,), note=_ignored(auth, *(pair or ())))


def _ignored(auth: str, *parts: _Part | None) -> str:
    places = " and ".join(part.place for part in parts if part)
    if not places:
        return ""
    why = (
        "Basic wins when both are complete, as in the vendor's SDK"
        if auth == "auto"
        else f"source.auth is '{auth}'"
    )
    return f"{places} ignored: {why}"


def _what(part: _Part) -> str:
    return {KEY_VARIABLE: "key", SECRET_VARIABLE: "secret"}.get(part.variable, "JWT")


def _pair_problems(key: _Part | None, secret: _Part | None) -> list[Problem]:
    if key and ":" in key.value:
        remedy = "Put the API key alone there, and the secret into the other variable."
        return [Problem(f"{key.place} holds a ':', which no API key does", remedy)]
    if bool(key) == bool(secret):
        return []
    given, missing = (KEY_VARIABLE, SECRET_VARIABLE) if key else (SECRET_VARIABLE, KEY_VARIABLE)
    return [
        Problem(
            f"{given} is given, but {missing} is not: half a pair authorises nothing",
            f"Set {missing} or {missing}_FILE too, or unset the other.",
        )
    ]


def _part(variable: str, environ: Mapping[str, str], problems: list[Problem]) -> _Part | None:
    value, file = environ.get(variable), environ.get(f"{variable}_FILE")
    try:
        if value is not None and file is not None:
            problems.append(
                Problem(f"{variable} and {variable}_FILE are both set", "Unset one of them.")
            )
        elif value is not None:
            return _Part(variable, _one_value(value, f"environment {variable}"))
        elif file is not None:
            path = Path(_one_value(file, f"environment {variable}_FILE", allowed=r"[^\0]+"))
            return _Part(variable, _read(path), path)
    except _UnreadableError as error:
        problems.append(Problem(str(error), "Put the value there, or unset the variable."))
    return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise _UnreadableError(f"file {path} cannot be read: {reason}") from error
    if len(content) > MAX_FILE_BYTES:
        raise _UnreadableError(f"file {path} is longer than {MAX_FILE_BYTES} bytes")
    return _one_value(content.decode("utf-8", errors="replace"), f"file {path}")


def _one_value(text: str, place: str, *, allowed: str = r"[!-~]+") -> str:
    """The text without the line end that editors and ``echo`` leave behind."""
    value = text.strip()
    if not value:
        raise _UnreadableError(f"{place} is empty")
    if not re.fullmatch(allowed, value):
        raise _UnreadableError(f"{place} holds a space, a line break or a character beyond ASCII")
    return value
