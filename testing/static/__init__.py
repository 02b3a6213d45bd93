"""Proofs that read templates, state machines and code, and start nothing."""
