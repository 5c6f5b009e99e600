"""The system calls a sandboxed command does without, as a filter for seccomp(2).

No new user namespaces: inside one a command could mount memory file systems that no limit sees, and reach far more of the kernel. No kernel
keyrings, which are shared with the host. And none of the large interfaces a build or a test run has no use for. Everything else is allowed:
what confines a command are the namespaces, this only narrows the door.
"""

import errno
import struct
from dataclasses import dataclass

CLONE_NEWUSER = 0x10000000
X32_BIT = 0x40000000

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW
_ERRNO = 0x00050000  # SECCOMP_RET_ERRNO
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, little endian


@dataclass(frozen=True)
class _Machine:
    """One architecture: its AUDIT_ARCH value and the numbers of the calls (the kernel's syscall tables)."""

    audit: int
    clone: int
    unshare: int
    clone3: int
    refused: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        unshare=272,
        clone3=435,
        # add_key, request_key, keyctl, perf_event_open, open_by_handle_at, setns, bpf, userfaultfd, io_uring_setup
        refused=(248, 249, 250, 298, 304, 308, 321, 323, 425),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        unshare=97,
        clone3=435,
        refused=(217, 218, 219, 241, 265, 268, 280, 282, 425),
    ),
}


def known(machine: str) -> bool:
    """Whether there is a filter for this architecture (`platform.machine()`)."""
    return machine in _MACHINES


def program(machine: str) -> bytes:
    """The filter as an array of `struct sock_filter`.

    clone3 keeps its flags in memory, where a filter cannot look, so it "does not exist" and the C library falls back to clone.
    """
    numbers = _MACHINES[machine]
    tests = [(number, "refuse") for number in numbers.refused]
    tests += [(numbers.clone3, "missing"), (numbers.clone, "flags"), (numbers.unshare, "flags")]
    after = {"allow": 0, "flags": 1, "refuse": 4, "missing": 5}
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, numbers.audit, 0, len(tests) + 2 + after["refuse"]),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, X32_BIT, len(tests) + after["refuse"], 0),
    ]
    for index, (number, where) in enumerate(tests):
        steps.append(_step(_EQUAL, number, len(tests) - index - 1 + after[where], 0))
    steps += [
        _step(_RETURN, _ALLOW),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, CLONE_NEWUSER, 1, 0),
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    return b"".join(steps)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
