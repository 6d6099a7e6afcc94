"""
The soak run of syncer: one command, minutes to days, and an exit code.

    uv run python tests/soak/run.py --minutes 30 [--json FILE] [--plot FILE.png] [--logs DIR]

A real PostgreSQL, a restless source with rotating faults, two ``syncer run`` on three catalogs. The
database is restarted twice, the leader killed once, the configuration read anew three times. In the
end the source is quiet, and the mirror has to equal it.
Kind: conductor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.process import TESTS, clean_environment
from soak.database import database
from soak.figures import Check
from soak.fleet import Fleet
from soak.judge import judge, settle
from soak.report import document, draw, print_report
from soak.scene import Scene
from soak.source import source_process


def parse_arguments() -> argparse.Namespace:
    """How long, how restless, and where to write it."""
    parser = argparse.ArgumentParser(description="Soak run of syncer; exit 1 if a check fails.")
    parser.add_argument("--minutes", type=float, default=30, help="before the source is quiet (30)")
    parser.add_argument("--models", type=int, default=2000, help="public models at first (2000)")
    parser.add_argument("--edits-per-minute", type=float, default=120, help="of the source (120)")
    parser.add_argument("--sample-s", type=float, default=5, help="between two samples (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, for programs")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="needs matplotlib (group soak)")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the processes' logs")
    return parser.parse_args()


def say(what: str) -> None:
    """Progress, apart from the report."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


async def soak(arguments: argparse.Namespace, place: Path) -> bool:
    """Run, report, and say whether every check held."""
    root = str(TESTS.parent)
    environment = clean_environment(
        PYTHONPATH=f"{root}:{TESTS}",
        HOME=str(place),
        SCENARIO_SDK_API_KEY="key-of-the-long-run",
        SCENARIO_SDK_API_SECRET="secret-of-the-long-run",
    )
    options = {
        "models": arguments.models,
        "private_models": 40,
        "edits_per_minute": arguments.edits_per_minute,
        "oversized_row_bytes": 40_000,
    }
    async with (
        database(place / "pg") as server,
        source_process(environment, **options) as source,
    ):
        environment |= {
            "SYNCER_DATABASE__URL": server.url,
            "SYNCER_DATABASE__EMBEDDED": "never",
            "SYNCER_SOURCE__BASE_URL": source.base_url,
        }
        fleet = Fleet(place, environment)
        scene = Scene(server, source, fleet, say, arguments.minutes)
        try:
            checks = await run(scene, arguments.sample_s)
            figures = await source.ask("figures")
        finally:
            await fleet.close()
            if arguments.logs:
                arguments.logs.mkdir(parents=True, exist_ok=True)
                for member in fleet.members:
                    shutil.copy(member.log, arguments.logs)
    report(scene, checks, figures, arguments)
    return all(check.is_kept for check in checks)


async def run(scene: Scene, sample_s: float) -> list[Check]:
    """From the first start to the last judgement."""
    scene.configure()
    await scene.fleet.ask("migrate")
    await scene.fleet.start()
    await scene.fleet.start()
    say(f"two processes follow a restless source for {scene.minutes:g} min")
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(scene.watch(sample_s))
        faulting = group.create_task(scene.rotate_faults())
        await scene.play()
        faulting.cancel()
        watching.cancel()
    checks = await settle(scene)
    return checks + await judge(scene)


def report(
    scene: Scene, checks: list[Check], figures: dict[str, Any], arguments: argparse.Namespace
) -> None:
    """On the terminal, and in the files that were asked for."""
    print_report(scene, checks, figures)
    if arguments.json:
        text = json.dumps(document(scene, checks, figures), indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if arguments.plot and not draw(scene, arguments.plot):
        say("no plot: matplotlib is not installed (uv run --group soak …)")


def main() -> None:
    """End with 0 if every check held, else with 1."""
    arguments = parse_arguments()
    # Not below a private directory: as root the embedded server runs under another account.
    with tempfile.TemporaryDirectory(prefix="syncer-soak-") as name:
        place = Path(name)
        place.chmod(0o755)
        is_kept = asyncio.run(soak(arguments, place))
    print("\nevery check held" if is_kept else "\nat least one check FAILED")
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
