"""Hooks that run in the processes of workers."""
