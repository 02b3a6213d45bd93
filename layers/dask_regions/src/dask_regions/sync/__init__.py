"""The steps of the state machine ``sync_catalog``; ``statemachines/README.md`` shows their order.

Every step may be run again with the same input: a generation is begun once, an import under way is
taken up, what was read before is found in the staging bucket, changes are applied once, and a swap that
is done stays done. Between the steps travel counts and keys; Items travel in the staging bucket
(:mod:`dask_regions.sync.staging`).
"""
