"""The driver for Proxmox VE: containers, snapshots, nodes, storages, tasks. What may be changed and who is asked is decided elsewhere."""
