"""Drivers for the machines Executor manages: how to talk to them, never whether to. No policy, no store, no agents, no UI."""
