"""Schedulers and workers for tests, and the graphs that they are given."""
