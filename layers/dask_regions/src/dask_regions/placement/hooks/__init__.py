"""Where placement meets Dask: all that replaces or uses private parts of it."""
