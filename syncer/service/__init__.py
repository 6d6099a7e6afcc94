"""
Run under a service manager (systemd): say when ready, how it goes, and that it still turns.

Owns the words that ``systemctl status`` shows. Never decides whether the daemon is healthy.
Invariant: nothing here can stop the daemon; without a manager all of it does nothing.
Kind: conductor.
"""

from syncer.service.notify import Notifier, watchdog_interval
from syncer.service.summary import summarise
from syncer.service.supervision import Supervision

__all__ = ["Notifier", "Supervision", "summarise", "watchdog_interval"]
