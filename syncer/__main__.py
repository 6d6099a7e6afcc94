"""
``python -m syncer`` and the ``syncer`` command.

Owns what happens around the commands: an interrupt while modules are loaded, and an answer that
cannot be printed. Never decides anything else.
Kind: conductor.
"""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130
"""``ExitCode.INTERRUPTED``, which is not loaded yet when it is needed."""


def main() -> None:
    """Run the command line."""
    # Nothing is open yet, and a traceback out of somebody's import would help nobody.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from syncer.cli import main as run_command  # noqa: PLC0415 - this is what takes its time
    from syncer.cli.frame import fail_unprinted  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run_command()
    except OSError as error:
        fail_unprinted(error)


if __name__ == "__main__":
    main()
