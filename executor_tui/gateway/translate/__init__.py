"""Chat Completions ⇄ Messages, requests, replies and streams: pure functions and small state machines. No I/O, no routing."""
