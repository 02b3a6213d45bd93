"""ECS: services, capacity providers, and what instances offer."""
