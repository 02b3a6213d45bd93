"""The processes of scheduler and workers: their commands, and the modules that Dask preloads."""
