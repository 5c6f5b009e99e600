"""Floor 2: what the model router stands on: registry, key pool, quotas, failure classes, budgets, providers. No HTTP server."""
