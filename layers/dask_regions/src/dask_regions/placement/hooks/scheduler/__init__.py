"""Hooks that run in the scheduler's process."""
