"""Floor 1: secrets at rest (age by default, OpenBao/Vault KV). Sealing needs no identity; opening does."""
