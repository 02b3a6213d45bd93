"""What ``datasets.yaml`` means for ``sam``: parameters of the stacks, and ``samconfig.toml``. Pure."""
