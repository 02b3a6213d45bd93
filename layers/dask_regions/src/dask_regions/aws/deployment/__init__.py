"""Adapters for bringing a system up and down: what the account allows, stacks, images, builds and quotas."""
