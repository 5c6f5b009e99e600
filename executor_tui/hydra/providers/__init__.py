"""One module per wire: the OpenAI shape passed through, litellm for the rest, the genuine opencode program. One interface for all."""
