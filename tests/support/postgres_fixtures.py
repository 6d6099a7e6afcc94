"""
Fixtures over ``support.postgres``; loaded as a plugin by tests/conftest.py.

``postgres_dsn``           a server on which databases can be created (session)
``database_url``           an empty database of the test's own
``migrated_database_url``  a database of the test's own with this build's schema
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from support import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(name="postgres_dsn", scope="session")
def postgres_dsn_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``SYNCER_TEST_DSN``, else one embedded server for all workers of this run."""
    if url := os.environ.get("SYNCER_TEST_DSN"):
        yield url
        return
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    with postgres.shared_server(base / "postgres-server") as url:
        yield url


@pytest.fixture(name="migrated_template", scope="session")
def migrated_template_fixture(postgres_dsn: str) -> Iterator[str]:
    """The name of a migrated database to clone; nobody may stay connected to it."""
    with postgres.fresh_database(postgres_dsn) as url:
        postgres.run_apart(postgres.migrate_url(url))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture(name="database_url")
def database_url_fixture(postgres_dsn: str) -> Iterator[str]:
    """An empty database, the test's own."""
    with postgres.fresh_database(postgres_dsn) as url:
        yield url


@pytest.fixture(name="migrated_database_url")
def migrated_database_url_fixture(postgres_dsn: str, migrated_template: str) -> Iterator[str]:
    """A migrated database, the test's own; cloned, so that it costs no migration."""
    with postgres.fresh_database(postgres_dsn, template=migrated_template) as url:
        yield url
