"""Floor 5: the HTTP door in front of core.model_router, a process of its own. It alone opens provider keys and may load litellm."""
