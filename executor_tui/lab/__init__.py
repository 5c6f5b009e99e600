"""Simulated providers, router, hypervisor and chat on real loopback sockets. Only cli/lab.py may import this room."""
