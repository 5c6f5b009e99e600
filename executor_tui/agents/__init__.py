"""Floor 3: the fleet, one module per role. Agents reach models only over HTTP through the gateway, never by import."""
