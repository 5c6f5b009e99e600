"""Floor 6: the `executor` command, one module per command group, everything heavy imported late."""
