"""Floor 4: decisions and durable work: orchestrator, model router, skill injector, power recovery, approvals, election, pipeline."""
