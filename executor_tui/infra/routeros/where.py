"""Conditions for a print, as the API's query words."""

Condition = tuple[str, ...]
"""Query words that leave exactly one truth value on the router's stack."""


def eq(name: str, value: str) -> Condition:
    """The property has this value."""
    return (f"?={name}={value}",)


def less(name: str, value: str) -> Condition:
    return (f"?<{name}={value}",)


def greater(name: str, value: str) -> Condition:
    return (f"?>{name}={value}",)


def has(name: str) -> Condition:
    """The item has this property at all."""
    return (f"?{name}",)


def lacks(name: str) -> Condition:
    return (f"?-{name}",)


def not_(condition: Condition) -> Condition:
    return (*condition, "?#!")


def all_of(first: Condition, *others: Condition) -> Condition:
    return _joined("&", first, *others)


def any_of(first: Condition, *others: Condition) -> Condition:
    return _joined("|", first, *others)


def _joined(operation: str, *conditions: Condition) -> Condition:
    words = tuple(word for condition in conditions for word in condition)
    return words if len(conditions) == 1 else (*words, "?#" + operation * (len(conditions) - 1))
