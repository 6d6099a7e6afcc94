"""
A soak run for people and for programs.

Owns the table, the curves, the JSON. Never decides anything.
Kind: edge (terminal, files).
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from soak.figures import MIB, Check, between, sparkline
from soak.fleet import Member
from soak.scene import Scene


def print_report(scene: Scene, checks: list[Check], figures: dict[str, Any]) -> None:
    """What happened, what was held, and what was judged."""
    print("\nwhat happened")
    for at_s, what in scene.blows:
        print(f"  {at_s:7.1f} s  {what}")
    struck = sum(figures["faults_struck"].values())
    print(
        f"  {figures['edits']:,} edits, {figures['requests']:,} requests, {struck:,} faults of "
        f"{len(figures['faults_struck'])} kinds, WAL {_wal(scene) / MIB:,.1f} MiB"
    )
    print("\nwhat they held (medians of the first and the last quarter of what is judged)")
    print(f"  {'process':8} {'life s':>7} {'RSS MiB':>16} {'fds':>10} {'threads':>9} {'CPU %':>6}")
    for member in scene.fleet.members:
        print(_row(member))
    print("\ncurves, from lowest to highest")
    for member in scene.fleet.members:
        _print_curve(f"{member.name} RSS MiB", [s.rss_bytes / MIB for s in member.samples])
        _print_curve(f"{member.name} fds", [float(s.fds) for s in member.samples])
    for name in scene.moments[-1].freshness_s if scene.moments else ():
        fresh = [each.freshness_s.get(name) for each in scene.moments]
        _print_curve(f"{name} freshness s", [each for each in fresh if each is not None])
    print("\nchecks")
    for check in checks:
        print(f"  {'ok  ' if check.is_kept else 'FAIL'} {check.what}: {check.found}")


def _row(member: Member) -> str:
    samples = member.samples
    if not samples:
        return f"  {member.name:8} no samples"
    first, last = between(samples, lambda each: each.rss_bytes / MIB)
    fds, threads = between(samples, lambda e: e.fds), between(samples, lambda e: e.threads)
    life_s = samples[-1].at_s - samples[0].at_s
    cpu = 100 * (samples[-1].cpu_s - samples[0].cpu_s) / life_s if life_s else 0.0
    killed = "  killed" if member.was_killed else ""
    return (
        f"  {member.name:8} {life_s:7.0f} {f'{first:.1f} > {last:.1f}':>16} "
        f"{f'{fds[0]:g} > {fds[1]:g}':>10} {f'{threads[0]:g} > {threads[1]:g}':>9} {cpu:6.1f}"
        f"{killed}"
    )


def _print_curve(label: str, values: list[float]) -> None:
    if values:
        low, high = min(values), max(values)
        print(f"  {label:22} {low:8.1f} {sparkline(values)} {high:.1f}")


def _wal(scene: Scene) -> int:
    known = [each.wal_bytes for each in scene.moments if each.wal_bytes is not None]
    return known[-1] - known[0] if known else 0


def document(scene: Scene, checks: list[Check], figures: dict[str, Any]) -> dict[str, Any]:
    """Everything, for programs."""
    fresh = [s for each in scene.moments for s in each.freshness_s.values() if s is not None]
    return {
        "minutes": scene.minutes,
        "is_kept": all(check.is_kept for check in checks),
        "checks": [asdict(check) for check in checks],
        "blows": scene.blows,
        "take_over_s": scene.take_over_s,
        "wal_bytes": _wal(scene),
        "freshness_s": {
            "median": statistics.median(fresh) if fresh else None,
            "worst": max(fresh, default=None),
        },
        "source": figures,
        "moments": [asdict(each) for each in scene.moments],
        "processes": [
            {
                "name": member.name,
                "exit_code": member.process.returncode,
                "was_killed": member.was_killed,
                "events": Counter(each["event"] for each in member.events()),
                "samples": [asdict(each) for each in member.samples],
            }
            for member in scene.fleet.members
        ],
    }


def draw(scene: Scene, path: Path) -> bool:
    """The curves as a picture; ``False`` where matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - the group "soak" installs it

        mpl.use("Agg")
        from matplotlib import pyplot as plt  # noqa: PLC0415 - as above
    except ImportError:
        return False
    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(9, 8), layout="constrained")
    memory, descriptors, fresh = axes
    for member in scene.fleet.members:
        times = [each.at_s / 60 for each in member.samples]
        memory.plot(times, [each.rss_bytes / MIB for each in member.samples], label=member.name)
        descriptors.plot(times, [each.fds for each in member.samples], label=member.name)
    for name in scene.moments[-1].freshness_s:
        points = [(each.at_s / 60, each.freshness_s.get(name)) for each in scene.moments]
        fresh.plot([at for at, _ in points], [s for _, s in points], label=name)
    titles = ("resident memory, MiB", "open descriptors", "freshness, s")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_ylabel(title)
        axis.set_ylim(bottom=0)
        axis.legend(loc="lower right", fontsize="small")
        for at_s, _ in scene.blows:
            axis.axvline(at_s / 60, color="0.8", linewidth=0.8, zorder=0)
    fresh.set_xlabel("minutes; grey lines: restarts, signals, the kill")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True
