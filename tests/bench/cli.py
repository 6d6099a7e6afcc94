"""
The benchmarks of syncer: one command, tables, ratios, and JSON for programs.

    uv run --group bench python tests/bench/run.py
        [--models N] [--large N] [--rounds R] [--only NAME]… [--against NAME]… [--json FILE]

Everything runs on this machine: the simulated source as a process of its own, one PostgreSQL (the
embedded one, or SYNCER_TEST_DSN), a fresh database for each run. Nothing is asserted about time.
Kind: conductor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.backfill import RIVALS
from bench.figures import document, table
from bench.mirror import Bench
from bench.server import Server, server
from bench.suite import SCENARIOS


def parse_arguments() -> argparse.Namespace:
    """What is to be measured."""
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        description="Benchmarks of syncer on the bundled simulated source.",
        epilog="scenarios: "
        + "; ".join(f"{s.name}{' (only by --only)' * s.opt_in}: {s.what}" for s in SCENARIOS),
    )
    parser.add_argument("--models", type=int, default=20_000, help="size of the catalog (20000)")
    parser.add_argument("--large", type=int, default=100_000, help="size for 'size' (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="repeatable")
    parser.add_argument(
        "--against",
        action="append",
        choices=RIVALS,
        metavar="NAME",
        help=f"in backfill, only {', '.join(RIVALS)}; repeatable",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, for programs")
    return parser.parse_args()


def describe(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    """Where and how this was measured."""
    return {
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "postgresql": server.version,
        "models": arguments.models,
        "large": arguments.large,
        "rounds": arguments.rounds,
    }


def say(what: str) -> None:
    """Progress, apart from the tables."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print each table when it is complete, write the JSON after each."""
    arguments = parse_arguments()
    chosen = [
        scenario
        for scenario in SCENARIOS
        if (scenario.name in arguments.only if arguments.only else not scenario.opt_in)
    ]
    found = []
    # Not below a private directory: as root the embedded server runs under another account.
    with tempfile.TemporaryDirectory(prefix="syncer-bench-") as place:
        Path(place).chmod(0o755)
        with server(Path(place) / "pg") as shared:
            about = describe(shared, arguments)
            print(", ".join(f"{name} {value}" for name, value in about.items()))
            bench = Bench(
                models=arguments.models,
                rounds=arguments.rounds,
                large=arguments.large,
                against=tuple(arguments.against or ()),
                server=shared,
                place=Path(place),
                say=say,
            )
            for scenario in chosen:
                report = scenario.measure(bench)
                print(f"\n{table(report)}", flush=True)
                found.append(document(report))
                if arguments.json:
                    text = json.dumps({"about": about, "scenarios": found}, indent=1)
                    arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
