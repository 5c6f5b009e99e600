"""Floor 1: config/*.json as typed settings, their JSON Schema, and hot reload. No SQL, no network."""
