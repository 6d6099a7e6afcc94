"""
A rival: dlt, as it comes and as its documentation tunes it.

``default``: pages of dictionaries from dlt's own REST client, everything else as it comes (nested
lists become child tables). ``csv`` and ``parquet``: windows of createdAt as parallel resources,
each page an Arrow table with the record as JSON text, which skips dlt's normaliser; files enough
for all load workers, loaded by COPY (csv, ``jsonb``) or by ADBC (parquet, which can only load
``json``), appended. ``merge``: as csv, but upserted by id from dlt's staging table.
Kind: edge (HTTP, dlt).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

# Read when dlt is imported or a pipeline is made, so they stand before it.
os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
}

import dlt
import orjson
import pyarrow as pa
import requests
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

PAGE = 500
PUBLIC = {"Authorization": "public-auth-token"}
QUESTION = {"privacy": "public", "sortBy": "createdAt", "sortDirection": "asc", "pageSize": PAGE}

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("name", pa.string()),
        ("type", pa.string()),
        ("privacy", pa.string()),
        ("status", pa.string()),
        ("tags", pa.string()),
        ("capabilities", pa.string()),
        ("created_at", pa.timestamp("ms", tz="UTC")),
        ("updated_at", pa.timestamp("ms", tz="UTC")),
        ("body", pa.string()),
    ]
)
UPSERT = {"disposition": "merge", "strategy": "upsert"}
JSON_COLUMNS = {name: {"data_type": "json"} for name in ("tags", "capabilities", "body")}


def tune(concurrency: int, connections: int, models: int) -> None:
    """What the performance page of dlt's documentation names, for one large table on few cores."""
    os.environ |= {
        "EXTRACT__WORKERS": str(concurrency),
        "EXTRACT__MAX_PARALLEL_ITEMS": str(2 * concurrency),
        "DATA_WRITER__BUFFER_MAX_ITEMS": str(4 * PAGE),
        "DATA_WRITER__FILE_MAX_ITEMS": str(max(4 * PAGE, models // (2 * connections))),
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
        "LOAD__WORKERS": str(connections),
        # Worker processes cost more to start here than one table of Arrow takes to normalise.
        "NORMALIZE__WORKERS": "1",
    }


def default_resource(base_url: str) -> Any:
    """The listing, page by page, as dlt's REST client gives it."""
    client = RESTClient(
        base_url,
        headers=PUBLIC,
        paginator=JSONResponseCursorPaginator(
            cursor_path="nextPaginationToken", cursor_param="paginationToken"
        ),
    )

    @dlt.resource(name="models", primary_key="id", write_disposition="append")
    def models() -> Iterator[Any]:
        yield from client.paginate("/models", params=QUESTION, data_selector="models")

    return models


def build_table(models: list[dict[str, Any]]) -> pa.Table:
    """A page as an Arrow table."""
    columns = [
        *([m.get(name) for m in models] for name in ("id", "name", "type", "privacy", "status")),
        *([orjson.dumps(m.get(n)).decode() for m in models] for n in ("tags", "capabilities")),
        *([parse(m[name]) for m in models] for name in ("createdAt", "updatedAt")),
        [orjson.dumps(m).decode() for m in models],
    ]
    return pa.table(columns, schema=SCHEMA)


def parse(text: str) -> datetime:
    """The API's form of an instant."""
    return datetime.fromisoformat(text)


def show(at: datetime) -> str:
    """The API's form of an instant."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ask(session: requests.Session, base_url: str, **question: Any) -> dict[str, Any]:
    """One page."""
    answer = session.get(f"{base_url}/models", params=QUESTION | question)
    answer.raise_for_status()
    found = orjson.loads(answer.content)
    assert isinstance(found, dict)
    return found


def arrow_resources(base_url: str, windows: int, disposition: Any) -> Iterator[Any]:
    """One resource for each window of createdAt, all of them into one table."""
    session = requests.Session()
    session.headers.update(PUBLIC)
    adapter = requests.adapters.HTTPAdapter(pool_connections=windows, pool_maxsize=windows)
    session.mount("http://", adapter)
    first, last = (
        parse(ask(session, base_url, pageSize=1, sortDirection=way)["models"][0]["createdAt"])
        for way in ("asc", "desc")
    )
    # Bounds are exclusive, to the millisecond.
    instant = timedelta(milliseconds=1)
    edges = [first + (last - first) / windows * n for n in range(windows)] + [last + instant]

    def pages(low: datetime, high: datetime) -> Iterator[pa.Table]:
        bounds: dict[str, str] = {"createdAfter": show(low - instant), "createdBefore": show(high)}
        while True:
            page = ask(session, base_url, **bounds)
            if page["models"]:
                yield build_table(page["models"])
            if not page.get("nextPaginationToken"):
                return
            bounds["paginationToken"] = page["nextPaginationToken"]

    for number, (low, high) in enumerate(pairwise(edges)):
        yield dlt.resource(
            pages(low, high),
            name=f"models_{number}",
            table_name="models",
            primary_key="id",
            write_disposition=disposition,
            columns=JSON_COLUMNS,
            parallelized=True,
        )


def mirror(mode: str, url: str, base_url: str, place: Path, windows: int) -> float:
    """Fill the table; the seconds from the first request to the last commit."""
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(place),
        destination=dlt.destinations.postgres(url),
        dataset_name="mirror",
    )
    began = time.perf_counter()
    if mode == "default":
        pipeline.run(default_resource(base_url))
    else:
        merged = mode == "merge"
        disposition = UPSERT if merged else "append"
        resources = list(arrow_resources(base_url, windows, disposition))
        pipeline.run(resources, loader_file_format="csv" if merged else mode)
    return time.perf_counter() - began


if __name__ == "__main__":
    _, kind, database, source, where, pool_size, at_once, cuts, size = sys.argv
    if kind != "default":
        tune(int(at_once), int(pool_size), int(size))
    print(json.dumps({"work_s": mirror(kind, database, source, Path(where), int(cuts))}))
