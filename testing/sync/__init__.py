"""A sync for tests and benchmarks: buckets in memory, and the steps of the state machine."""
