"""
What every command shares: loading the configuration, running, and ending with the right code.

Owns how errors are shown: what happened, then what to do next, on stderr, never a traceback unless
it is a bug.
Invariant: a command ends with a documented exit code.
Kind: conductor.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click

from syncer.errors import EXIT_PRECEDENCE, ConfigError, ExitCode, SyncerError

if TYPE_CHECKING:
    from syncer.config import CatalogSettings, Credentials, Settings

    Configuration = tuple[Settings, Credentials]

T = TypeVar("T")

_PRINTERS = ("click", "rich", "syncer.cli.outlet")
"""Who writes to standard output for us; they touch no file but it."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options before the command."""

    config: str | None
    log_format: str | None
    log_level: str | None

    def settings(self) -> Settings:
        """The effective configuration.

        Raises:
            ConfigError: it is not usable.
        """
        from syncer.config import find_config, load_settings  # noqa: PLC0415 - start-up time

        return load_settings(find_config(self.config, os.environ, Path.cwd()), os.environ)

    def configuration(
        self, *, for_daemon: bool = False, earlier: Configuration | None = None
    ) -> Configuration:
        """The effective configuration with credentials that fit it; sets up logging.

        Args:
            for_daemon: refuse as well what ``syncer run`` would end by later.
            earlier: what is still at work while this takes its place; its secrets stay hidden.

        Raises:
            ConfigError: something is not usable; logging stays as it was.
        """
        from syncer.config import (  # noqa: PLC0415
            load_credentials,
            require_database,
            validate_credentials,
        )

        settings = self.settings()
        if for_daemon:
            require_database(settings)
        credentials = load_credentials(settings.source.auth, os.environ, for_daemon=for_daemon)
        validate_credentials(settings, credentials)
        self.start_logging(settings, credentials, earlier=earlier)
        return settings, credentials

    def start_logging(
        self,
        settings: Settings,
        credentials: Credentials | None = None,
        *,
        earlier: Configuration | None = None,
    ) -> None:
        """Send log lines to stderr, secrets redacted."""
        from syncer.api.normalise import redact_text  # noqa: PLC0415
        from syncer.clock import SystemClock  # noqa: PLC0415
        from syncer.telemetry import Event, configure_logging, logger  # noqa: PLC0415

        def secrets() -> tuple[str, ...]:
            # Asked for each line: a JWT in a file changes while we run.
            ours = (*(credentials.secrets() if credentials else ()), *settings.database.secrets())
            if earlier is None:
                return ours
            return (*ours, *earlier[1].secrets(), *earlier[0].database.secrets())

        configure_logging(
            level=self.log_level or settings.log.level,
            format=self.log_format or settings.log.format,
            stream=sys.stderr,
            redact=redact_text,
            clock=SystemClock(),
            secrets=secrets,
        )
        for warning in settings.warnings:
            logger().warning(Event.CONFIG_NOTICED, warning=warning)


class Program(click.Group):
    """The commands; an interrupt outside of anything that waits ends them as documented."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; click itself would say 'Aborted!' and end with 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            end_with(ExitCode.INTERRUPTED)


def end_with(code: ExitCode) -> NoReturn:
    """End the process; a full disk behind stderr does not change the code."""
    try:
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)
    raise SystemExit(int(code))


def _give_up(stream: TextIO) -> None:
    """Send the rest to nowhere: Python itself would end with 120 over what it cannot write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run_async(main: Callable[[], Coroutine[Any, Any, ExitCode]]) -> NoReturn:
    """Run a command's coroutine and end with its code, or with its error's."""
    end_with(result_of(main))


def result_of(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a part of a command that waits, and end with its error's code if it has one."""
    import asyncio  # noqa: PLC0415 - a fifth of what ``syncer --help`` takes

    try:
        return asyncio.run(main())
    except SyncerError as error:
        fail(error)
    except BaseExceptionGroup as group:
        fail_group(group)
    except KeyboardInterrupt:
        end_with(ExitCode.INTERRUPTED)


def guard(main: Callable[[], None]) -> None:
    """Run a command that does not wait, and end with its error's code if it has one."""
    try:
        main()
    except SyncerError as error:
        fail(error)


def fail(error: SyncerError) -> NoReturn:
    """Say what happened and what to do next."""
    show_error(error)
    end_with(error.exit_code)


def fail_unprinted(error: OSError) -> NoReturn:
    """Standard output took no more (a full disk); any other error is a bug and shown whole."""
    if not _is_unprinted(error):
        raise error
    reason = (error.strerror or "unknown reason").lower()
    with contextlib.suppress(OSError):
        click.echo(f"error: standard output cannot be written to: {reason}", err=True)
    _give_up(sys.stdout)
    end_with(ExitCode.BUG)


def fail_group(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Several tasks failed: our errors are said; anything else is a bug and shown whole."""
    leaves = _leaves(group)
    ours = [leaf for leaf in leaves if isinstance(leaf, SyncerError)]
    bugs = [leaf for leaf in leaves if not isinstance(leaf, SyncerError)]
    if bugs and all(map(_is_unprinted, bugs)):
        # Said where a command that waits for nothing says it.
        raise bugs[0]
    if bugs:
        raise group
    for error in ours:
        show_error(error)
    codes = {error.exit_code for error in ours}
    end_with(next((code for code in EXIT_PRECEDENCE if code in codes), ours[0].exit_code))


def show_error(error: SyncerError, *, of: str = "") -> None:
    """One error, with its remedy and what it befell, on stderr."""
    from syncer.api.normalise import redact_text  # noqa: PLC0415

    # Where nobody can read it, the exit code still says it.
    with contextlib.suppress(OSError):
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(redact_text(f"{of}: {error.message}" if of else error.message), err=True)
        if error.hint:
            click.secho("  fix: ", fg="yellow", nl=False, err=True)
            click.echo(redact_text(error.hint), err=True)


def show_open(quarantined: int, removals_waiting: int) -> None:
    """What makes a command end with 5 although its own work is done."""
    if quarantined:
        click.echo(f"{quarantined} models are in quarantine; see 'syncer quarantine list'.")
    if removals_waiting:
        click.echo(f"{removals_waiting} removals wait; see 'syncer status' and 'syncer sweep'.")


def print_json(document: object) -> None:
    """A document alone on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def pick_catalogs(settings: Settings, names: Iterable[str]) -> tuple[CatalogSettings, ...]:
    """The catalogs that a command is for; none named means all.

    Raises:
        ConfigError: a name stands nowhere in the configuration.
    """
    known = {catalog.name: catalog for catalog in settings.catalogs}
    wanted = tuple(dict.fromkeys(names)) or tuple(known)
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"there is no catalog '{name}' in the configuration",
                hint=f"Name one of those that are: {', '.join(known) or 'none'}.",
            )
    return tuple(known[name] for name in wanted)


def _is_unprinted(error: BaseException) -> bool:
    """Whether this was raised while something was printed, judged by who was at work."""
    innermost = error.__traceback__
    while innermost and innermost.tb_next:
        innermost = innermost.tb_next
    module = str(innermost.tb_frame.f_globals.get("__name__")) if innermost else ""
    return isinstance(error, OSError) and f"{module}.".startswith(
        tuple(f"{printer}." for printer in _PRINTERS)
    )


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
