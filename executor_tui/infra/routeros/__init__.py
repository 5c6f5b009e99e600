"""The driver for MikroTik routers: connect, read, change, guard. What may be changed and who is asked is decided elsewhere."""
