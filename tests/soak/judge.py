"""
The end of a soak run: quiet, caught up, compared, stopped, judged.

Owns every check. Compares the mirror with the source by itself too: ``verify`` is under test.
Kind: conductor.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from soak.figures import Check, check_member
from soak.scene import BUDGET_PER_MINUTE, CATALOGS, NARROW_TYPES, TAKE_OVER_LIMIT_S, Scene

from syncer.api.normalise import content_hash, normalise

CATCH_UP_LIMIT_S = 240.0
STOP_LIMIT_S = 10.0
NEVER = ("models_missed",)
"""Log events that are an alert: a walk has lost something."""


async def settle(scene: Scene) -> list[Check]:
    """Turn the faults off, wait until everything is mirrored, and prove it."""
    await scene.source.tell("faults", {})
    await scene.source.tell("quiet")
    scene.say("source is quiet; waiting until all is mirrored")
    began_s = scene.at_s
    verified = await scene.fleet.ask("verify", "--json", codes=(0, 5, 7))
    while verified.code != 0 and scene.at_s - began_s < CATCH_UP_LIMIT_S:
        await asyncio.sleep(2)
        verified = await scene.fleet.ask("verify", "--json", codes=(0, 5, 7))
    took_s = scene.at_s - began_s
    counts = json.loads(verified.stdout)["catalogs"] if verified.stdout else []
    return [
        Check(
            f"'syncer verify' says mirror = source within {CATCH_UP_LIMIT_S:g} s of quiet",
            verified.code == 0 and len(counts) == len(CATALOGS),
            f"exit {verified.code} after {took_s:.0f} s; "
            + ", ".join(f"{each['name']} {each['mirror_models']}" for each in counts),
        ),
        *[await _compare(scene, name) for name in CATALOGS],
        await _check_status(scene),
    ]


async def _compare(scene: Scene, catalog: str) -> Check:
    listed = await scene.source.ask(f"truth?privacy={'private' if catalog == 'ours' else 'public'}")
    if catalog == "narrow":
        listed = {key: each for key, each in listed.items() if each.get("type") in NARROW_TYPES}
    rows = await scene.database.rows(
        "SELECT id, body::text AS body FROM scenario.models"
        " WHERE catalog = $1 AND removed_at IS NULL",
        catalog,
    )
    mirrored = {row["id"]: json.loads(row["body"]) for row in rows}
    same = {
        key
        for key in listed.keys() & mirrored.keys()
        if content_hash(normalise(listed[key])) == content_hash(normalise(mirrored[key]))
    }
    different = (listed.keys() | mirrored.keys()) - same
    found = f"{len(listed)} listed, {len(mirrored)} mirrored, {len(different)} different"
    return Check(f"{catalog}: the rows are the source's models", not different, found)


async def _check_status(scene: Scene) -> Check:
    status: dict[str, Any] = await scene.fleet.status() or {"ready": False, "catalogs": []}
    open_ = [
        f"{each['name']} {key} {each[key]}"
        for each in status["catalogs"]
        for key in ("quarantined_models", "removals_waiting", "last_error")
        if each[key]
    ]
    return Check(
        "status: ready, nothing in quarantine, no removal waits, no error",
        bool(status["ready"]) and not open_,
        "; ".join([*status.get("reasons", []), *open_]) or "ready",
    )


async def judge(scene: Scene) -> list[Check]:
    """Stop everything, and hold what was seen against the rules."""
    living = scene.fleet.living
    for member in living:
        await member.stop()
    figures = await scene.source.ask("figures")
    checks = [check for member in living for check in check_member(member.name, member.samples)]
    for member in living:
        code, took_s = member.process.returncode, member.stop_s or 0.0
        checks.append(
            Check(
                f"{member.name}: SIGTERM ends it with 0 within {STOP_LIMIT_S:g} s",
                code == 0 and took_s <= STOP_LIMIT_S,
                f"exit {code} after {took_s:.1f} s",
            )
        )
    checks += [
        Check("two processes lived to the end", len(living) == 2, f"{len(living)} did"),
        Check(
            f"the killed leader was succeeded within {TAKE_OVER_LIMIT_S:g} s",
            scene.take_over_s is not None and scene.take_over_s < TAKE_OVER_LIMIT_S,
            "not killed" if scene.take_over_s is None else f"after {scene.take_over_s:.1f} s",
        ),
        Check(
            "the request budget held in any 60 s",
            figures["busiest_60s"] <= BUDGET_PER_MINUTE,
            f"{figures['busiest_60s']} of {BUDGET_PER_MINUTE} requests in the busiest",
        ),
        _check_logs(scene),
        Check(
            "commands ended as documented",
            not scene.fleet.strange,
            "; ".join(scene.fleet.strange[:3]) or "all of them",
        ),
    ]
    return checks


def _check_logs(scene: Scene) -> Check:
    bad: list[str] = []
    for member in scene.fleet.members:
        text = member.log.read_text(encoding="utf-8")
        if "Traceback" in text:
            bad.append(f"{member.name}: a traceback")
        counted = Counter(each["event"] for each in member.events())
        bad += [f"{member.name}: {counted[name]} x {name}" for name in NEVER if counted[name]]
    return Check("no traceback in the logs, and no model missed", not bad, "; ".join(bad) or "none")
