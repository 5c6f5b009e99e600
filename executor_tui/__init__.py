"""Executor: operator console and general manager for a fleet of AI agents.

The floors of the house, from the ground up, are listed in ARCHITECTURE.md; import-linter contracts in pyproject.toml hold them.
"""
