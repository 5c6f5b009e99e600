"""Query words of print: a small stack machine over one item, as the vendor's API manual describes it."""

from collections.abc import Callable, Mapping, Sequence

from executor_tui.lab.routeros.errors import API, TrapError

Normalise = Callable[[str, str], str]
"""(property, text as the client wrote it) → the text the router would store, or the same text when it cannot tell."""


def matches(item: Mapping[str, str], queries: Sequence[str], normalise: Normalise) -> bool:
    """Whether the item passes. The stack starts with `true` without end; one `false` left in it fails the item."""
    stack: list[bool] = []
    for word in queries:
        body = word[1:]
        if body.startswith("#"):
            _operate(stack, body[1:])
        else:
            stack.append(_test(item, body, normalise))
    return all(stack)


def _test(item: Mapping[str, str], body: str, normalise: Normalise) -> bool:
    if body.startswith("-"):
        return body[1:] not in item
    operator, rest = (body[0], body[1:]) if body[:1] in ("=", "<", ">") else ("", body)
    name, has_value, text = rest.partition("=")
    if not has_value:
        return name in item
    if name not in item:
        return False
    actual, wanted = item[name], normalise(name, text)
    if operator == "<":
        return _order(actual) < _order(wanted)
    if operator == ">":
        return _order(actual) > _order(wanted)
    return actual in (wanted, text)


def _order(text: str) -> tuple[int, int, str]:
    """Numbers before texts, numbers by size."""
    return (0, int(text), "") if text.lstrip("-").isdigit() else (1, 0, text)


def _pop(stack: list[bool]) -> bool:
    return stack.pop() if stack else True


def _peek(stack: list[bool], index: int) -> bool:
    return stack[-1 - index] if index < len(stack) else True


def _operate(stack: list[bool], operations: str) -> None:
    position = 0
    after_index = False
    while position < len(operations):
        character = operations[position]
        if character.isdigit():
            end = position
            while end < len(operations) and operations[end].isdigit():
                end += 1
            value = _peek(stack, int(operations[position:end]))
            if end == len(operations):
                stack[:] = [value]
            else:
                stack.append(value)
            position, after_index = end, True
            continue
        _apply(stack, character, after_index)
        position, after_index = position + 1, False


def _apply(stack: list[bool], character: str, after_index: bool) -> None:
    if character == "!":
        stack.append(not _pop(stack))
    elif character == "&":
        first, second = _pop(stack), _pop(stack)
        stack.append(first and second)
    elif character == "|":
        first, second = _pop(stack), _pop(stack)
        stack.append(first or second)
    elif character == ".":
        if not after_index:
            stack.append(_peek(stack, 0))
    else:
        raise TrapError(f"unknown query operation {character}", API)
