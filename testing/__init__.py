"""What tests and benchmarks share: servers, data and workloads. Imports neither of them."""
