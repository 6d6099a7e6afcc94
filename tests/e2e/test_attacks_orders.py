"""Orders to a running holder under attack: what the waiting command is told."""

from __future__ import annotations

from support.command import Place
from support.serving import Serve

FOLLOWING = '[[catalog]]\nname = "public"\npoll_interval_s = 1\n'


async def test_a_repair_that_the_guard_of_a_holder_refuses_ends_with_5(
    place: Place, serve: Serve
) -> None:
    """DESIGN §3: a refused removal is 5, never 1, whoever refused it."""
    place.write_config(FOLLOWING)
    place.set(source__page_size=50)
    async with serve(models=120) as source, place.start("run") as daemon:
        await daemon.until_event("cycle_finished", kind="delta")
        for model_id in sorted(source.live_models())[:50]:
            source.remove_model(model_id)
        said = (await place.run("verify", "--repair")).failed_with(5)

        assert "--allow-removals 50" in said
