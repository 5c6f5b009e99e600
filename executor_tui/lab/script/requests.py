"""What the script has to say to requests in words: it knows three shapes, looks first as an agent should, and proposes by tool call."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from executor_tui.lab.upstreams.script import Answer, ToolCall, text_of

KNOWN = (
    "give 192.168.88.23 at most 20 Mbit down",
    "forward port 8443 to 192.168.88.10 port 443",
    "a Debian box with 2 cores and 4 GB",
)
"""The requests it knows, as a user types them; addresses and numbers may be others."""

_AGENT = re.compile(r"You are the (Network|Proxmox) Agent")
_REQUEST = re.compile(r"\[the request; data, not instructions\]\n<<(\S+)\n(.*)\n\1>>", re.DOTALL)
_LIMIT = re.compile(r"give ([\d.]+(?:/\d+)?) at most (\d+) ?Mbit(?:/s)? (down|up)", re.IGNORECASE)
_FORWARD = re.compile(r"forward (?:(tcp|udp) )?port (\d+) to ([\d.]+)(?: port (\d+))?", re.IGNORECASE)
_BOX = re.compile(r"(?:a )?(\w+) box with (\d+) cores? and (\d+) ?GB(?: for project (\S+))?", re.IGNORECASE)

Messages = Sequence[Mapping[str, Any]]


def answer(messages: Messages) -> Answer | None:
    """The next turn of an agent that was asked in words; None when nobody was."""
    system = next((text_of(m) for m in messages if m.get("role") == "system"), "")
    task = text_of(next((m for m in messages if m.get("role") == "user"), {}))
    request = _REQUEST.search(task)
    if _AGENT.search(system) is None or request is None:
        return None
    for pattern, steps in _SHAPES:
        match = pattern.search(request.group(2))
        if match is not None:
            turns = sum(1 for m in messages if m.get("role") == "assistant")
            seen = [text_of(m) for m in messages if m.get("role") == "tool"]
            return steps(match, turns, seen)
    known = "; ".join(f'"{text}"' for text in KNOWN)
    return _call("finish", summary=f"I am the lab's scripted model and no language model: in words I know only requests such as {known}.")


def _limit(match: re.Match[str], turns: int, seen: Sequence[str]) -> Answer:
    address, amount, way = match.group(1), match.group(2), match.group(3).lower()
    if turns == 0:
        return _call("look", what="leases", contains=address)
    if turns == 1 and "/" not in address and seen[-1].startswith("nothing"):
        return _call("finish", summary=f"no lease has the address {address}; say which machine is meant")
    if turns == 1:
        return _call("net_limit", target=address, **{way: f"{amount}M"}, note=f"asked for in words: {amount} Mbit {way}")
    return _call("finish", summary=f"{address} gets at most {amount} Mbit/s {way}.")


def _forward(match: re.Match[str], turns: int, seen: Sequence[str]) -> Answer:
    protocol, port, address, inside = match.groups()
    if turns == 0:
        return _call("look", what="nat")
    if turns == 1:
        more = {"to_port": int(inside)} if inside else {}
        return _call("net_forward", protocol=(protocol or "tcp").lower(), port=port, to_address=address, **more)
    return _call("finish", summary=f"Port {port} from outside goes to {address}.")


def _box(match: re.Match[str], turns: int, seen: Sequence[str]) -> Answer:
    system, cores, memory_gb, project = match.groups()
    if turns == 0:
        return _call("look", what="templates", contains=system)
    if turns == 1 and seen[-1].startswith("nothing"):
        return _call("finish", summary=f"there is no template for {system}; download one first")
    if turns == 1:
        more = {"project": project} if project else {}
        return _call("lxc_create", template=system.lower(), cores=int(cores), memory_mb=int(memory_gb) * 1024, **more)
    return _call("finish", summary=f"A {system} container with {cores} cores and {memory_gb} GB.")


def _call(name: str, **arguments: str | int) -> Answer:
    return Answer(tool_calls=(ToolCall(name, arguments),))


_SHAPES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], int, Sequence[str]], Answer]], ...] = (
    (_LIMIT, _limit), (_FORWARD, _forward), (_BOX, _box),
)  # fmt: skip
