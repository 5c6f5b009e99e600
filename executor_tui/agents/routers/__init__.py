"""Routers: typed operations, deciding what they leave open, planning against the live state, carrying out. No sockets but through infra."""
