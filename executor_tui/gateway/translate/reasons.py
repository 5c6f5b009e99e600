"""Why an answer ended, in both vocabularies (platform.openai.com/docs/api-reference/chat/object, docs.anthropic.com/en/api/messages)."""

_TO_STOP_REASON = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_TO_FINISH_REASON = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def stop_reason(finish_reason: object) -> str:
    """Chat's finish_reason as a stop_reason."""
    return _TO_STOP_REASON.get(str(finish_reason), "end_turn")


def finish_reason(stop_reason: object) -> str:
    """A stop_reason as chat's finish_reason."""
    return _TO_FINISH_REASON.get(str(stop_reason), "stop")
