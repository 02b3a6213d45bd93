"""AWS on this machine: the deployed artefacts, run by moto and real Dask."""
