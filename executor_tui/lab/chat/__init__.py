"""Telegram and Discord as far as Executor uses them, on real loopback sockets: their limits, their refusals, their bad days."""
