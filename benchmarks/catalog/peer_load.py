"""Fill stac-fastapi-opensearch through its own classes; runs in the peer's environment, not in ours.

Standard input has one JSON document a line: the Collections, an empty line, the Items. What its bulk
endpoint does is done here without HTTP: prepare each Item, and ``bulk_sync``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections import defaultdict
from typing import Any

from stac_fastapi.opensearch.database_logic import (  # type: ignore[import-not-found]
    DatabaseLogic,
    create_collection_index,
    create_index_templates,
)

_BATCH = 1000
_TIMEOUT_SECONDS = 600
_BASE_URL = "http://localhost/"


def main() -> None:
    """Create the Collections and load the Items; print how many."""
    database = DatabaseLogic()
    collections = [json.loads(line) for line in iter(lambda: sys.stdin.readline().strip(), "")]
    asyncio.run(_create(database, collections))
    indices = database.sync_client.indices
    indices.put_settings(index="items_*", body={"index": {"refresh_interval": "-1"}})
    loaded = 0
    while lines := list(itertools.islice(sys.stdin, _BATCH)):
        batches: dict[str, list[Any]] = defaultdict(list)
        for line in lines:
            item = json.loads(line)
            # As bulk_sync_prep_create_item, but for its question at each Item whether the Collection exists.
            batches[item["collection"]].append(database.item_serializer.stac_to_db(item, _BASE_URL))
        for collection, items in batches.items():
            success, errors = database.bulk_sync(collection, items, refresh=False)
            if errors:
                raise SystemExit(f"{len(errors)} Items were refused, the first one: {errors[0]}")
            loaded += success
    # Setting it refreshes too, half a million documents at once: hence the long timeout.
    restored = {"index": {"refresh_interval": "1s"}}
    indices.put_settings(index="items_*", body=restored, params={"request_timeout": _TIMEOUT_SECONDS})
    indices.refresh(index="items_*", params={"request_timeout": _TIMEOUT_SECONDS})
    sys.stdout.write(f"{loaded}\n")


async def _create(database: DatabaseLogic, collections: list[Any]) -> None:
    await create_index_templates()
    await create_collection_index()
    for collection in collections:
        await database.create_collection(collection, refresh=True)
    await database.client.close()


if __name__ == "__main__":
    main()
