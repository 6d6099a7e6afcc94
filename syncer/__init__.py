"""syncer: a faithful, always-current copy of the Scenario model catalog in PostgreSQL."""

__version__ = "0.1.0"
