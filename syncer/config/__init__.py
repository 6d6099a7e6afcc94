"""
Configuration: config.toml and the environment become one frozen ``Settings``.

``keys`` says how a key is declared, ``settings`` and ``catalog`` declare them all, ``kinds`` and
``urls`` check single values, ``rules`` combinations; ``reader`` and ``load`` read, ``show`` writes
out, ``credentials`` holds what never stands in the file. Nothing else reads the environment.
"""

from syncer.config.catalog import CatalogSettings, PartitionBy
from syncer.config.credentials import (
    AuthKind,
    Credentials,
    load_credentials,
    validate_credentials,
)
from syncer.config.load import find_config, load_settings
from syncer.config.rules import require_database
from syncer.config.settings import (
    DatabaseSettings,
    HttpSettings,
    LeaseSettings,
    LimitsSettings,
    LogSettings,
    Settings,
    SourceSettings,
    default_data_dir,
)
from syncer.config.show import ConfigValue, describe, example_config
from syncer.config.urls import SECRET_PARAMETERS, mask_url

__all__ = [
    "SECRET_PARAMETERS",
    "AuthKind",
    "CatalogSettings",
    "ConfigValue",
    "Credentials",
    "DatabaseSettings",
    "HttpSettings",
    "LeaseSettings",
    "LimitsSettings",
    "LogSettings",
    "PartitionBy",
    "Settings",
    "SourceSettings",
    "default_data_dir",
    "describe",
    "example_config",
    "find_config",
    "load_credentials",
    "load_settings",
    "mask_url",
    "require_database",
    "validate_credentials",
]
