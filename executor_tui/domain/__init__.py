"""Ground floor: what Executor talks about, as plain frozen dataclasses, enums and errors.

No I/O, no third-party imports, nothing from any other floor.
"""
