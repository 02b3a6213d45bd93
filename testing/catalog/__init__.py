"""A catalog for tests and benchmarks: Items, searches, a store in memory, a server."""
