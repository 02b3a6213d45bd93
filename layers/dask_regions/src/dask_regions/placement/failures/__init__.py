"""What happens when a worker, a pool or a link between Regions is lost."""
