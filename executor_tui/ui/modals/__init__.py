"""The console's modals, one file each."""
