"""EC2: networks, prefix lists, instances."""
