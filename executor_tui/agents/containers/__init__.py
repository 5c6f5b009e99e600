"""What the Proxmox agent knows of containers: its typed operations, placement, addresses, planning. No connection is opened here."""
