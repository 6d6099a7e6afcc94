"""
The demonstration: a simulated source, an embedded PostgreSQL, and a story told with the two.

``place`` opens and puts away what is needed, ``story`` holds the steps, ``comparison`` proves that
source and mirror agree. Nothing here prints, and nothing reads the user's configuration.
"""

from syncer.demo.comparison import Comparison, Listing, Version, compare
from syncer.demo.place import DemoPlace, discard_kept, open_place, quiet_settings
from syncer.demo.story import Added, Answer, Filled, Followed, Polled, Story, Swept

__all__ = [
    "Added",
    "Answer",
    "Comparison",
    "DemoPlace",
    "Filled",
    "Followed",
    "Listing",
    "Polled",
    "Story",
    "Swept",
    "Version",
    "compare",
    "discard_kept",
    "open_place",
    "quiet_settings",
]
