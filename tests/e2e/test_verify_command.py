"""``syncer verify`` as a timer starts it: beside a running daemon, with nobody reading along."""

from __future__ import annotations

from support.command import Place
from support.serving import Serve
from support.stored import fetch

FOLLOWING = '[[catalog]]\nname = "public"\npoll_interval_s = 1\n'
SPOIL = "UPDATE scenario.models SET name = 'by hand' WHERE id = $1"
STORED = "SELECT verify_differences, verified_at FROM syncer.catalog WHERE catalog = 'public'"
KEYS = [
    "name",
    "source_models",
    "mirror_models",
    "missing",
    "extra",
    "stale",
    "repaired",
    "error",
]
"""Of ``--json``, per catalog."""


async def test_what_verify_found_is_stored_and_its_document_stays_as_it_was(
    place: Place, serve: Serve, migrated_database_url: str
) -> None:
    """With the daemon's lease in force, before and after a repair that is the daemon's to make."""
    place.write_config(FOLLOWING)
    place.set(source__page_size=50)
    async with serve(models=120) as source, place.start("run") as daemon:
        await daemon.until_event("cycle_finished", kind="delta")
        for model_id in sorted(source.live_models())[:2]:
            await fetch(migrated_database_url, SPOIL, model_id)
        found = await place.run("verify", "--json")
        (first,) = await fetch(migrated_database_url, STORED)
        mended = await place.run("verify", "--repair", "--json")
        (second,) = await fetch(migrated_database_url, STORED)

        assert (5, 0) == (found.code, mended.code), (found, mended)
        assert (2, 0) == (first["verify_differences"], second["verify_differences"])
        assert first["verified_at"] < second["verified_at"]
        assert [KEYS, KEYS] == [list(each.document["catalogs"][0]) for each in (found, mended)]
        assert daemon.count("order_finished") == 1
