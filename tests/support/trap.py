"""
Something that happens within the transaction that stores a model.

Owns a trigger on ``scenario.models`` and how often it acts: a sequence counts, which no rollback
sets back.
Kind: edge (asyncpg).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from syncer.errors import StoreConflict, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

REPORTED: dict[str, type[StoreError]] = {
    "25006": StoreUnavailable,
    "40001": StoreConflict,
    "40P01": StoreConflict,
    "53100": StoreUnavailable,
    "53200": StoreUnavailable,
    "53300": StoreUnavailable,
    "55P03": StoreUnavailable,
    "57014": StoreUnavailable,
    "57P01": StoreUnavailable,
    "57P02": StoreUnavailable,
    "58030": StoreUnavailable,
}
"""
What the server says when it is read-only, meets another transaction (two ways), has no room, no
memory or no connection left, waits too long for a lock, takes too long, is shut down, crashes, or
cannot use its files.
"""

END_SESSION = "PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(60);"

_ARM = """
    CREATE SEQUENCE public.sprung;
    CREATE FUNCTION public.spring() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.id ~ TG_ARGV[0] AND nextval('public.sprung') <= TG_ARGV[1]::bigint THEN
            {act}
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER trap BEFORE INSERT OR UPDATE ON scenario.models
        FOR EACH ROW EXECUTE FUNCTION public.spring('{ids}', '{times}');
"""
_DISARM = "DROP FUNCTION public.spring CASCADE; DROP SEQUENCE public.sprung"


def report(state: str) -> str:
    """Fail as the server would."""
    return f"RAISE EXCEPTION 'as the server says it' USING ERRCODE = '{state}';"


def dally(seconds: float) -> str:
    """Take time over it."""
    return f"PERFORM pg_sleep({seconds});"


async def arm(
    observer: asyncpg.Connection[asyncpg.Record], act: str, *, ids: str, times: int = 1_000_000
) -> None:
    """Let it happen to models whose id matches, so many times."""
    await observer.execute(_ARM.format(act=act, ids=ids, times=times))


async def disarm(observer: asyncpg.Connection[asyncpg.Record]) -> None:
    """Let it happen no more."""
    await observer.execute(_DISARM)


@asynccontextmanager
async def trap(
    observer: asyncpg.Connection[asyncpg.Record], act: str, *, ids: str, times: int = 1_000_000
) -> AsyncIterator[None]:
    """``arm`` it until the block ends."""
    await arm(observer, act, ids=ids, times=times)
    try:
        yield
    finally:
        await disarm(observer)


async def times_sprung(observer: asyncpg.Connection[asyncpg.Record]) -> int:
    """How often it could have happened so far; 1 also when it never could."""
    return int(await observer.fetchval("SELECT last_value FROM public.sprung"))
