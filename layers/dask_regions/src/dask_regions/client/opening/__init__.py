"""The parts of opening a dataset: which files and stores, each by a worker, and all of them as one."""
