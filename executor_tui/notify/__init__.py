"""Floor 2: the outbox and the channels that empty it (Telegram, Discord). Decides nothing about the fleet."""
