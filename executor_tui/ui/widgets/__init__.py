"""The console's widgets, one file each."""
