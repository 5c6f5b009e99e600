"""What the Proxmox agent knows of containers: typed operations, placement, addresses, planning, and carrying out. No store, no consent."""
