"""Simulated model providers on real loopback sockets: accounts, quotas, faults, every wire we speak. What the model says is a `Script`.

Nothing of the product enters but `domain/`: a simulator that shared code with what it tests would share its mistakes.
"""
