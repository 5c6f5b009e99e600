"""A fake Proxmox on a loopback socket, with a template to create from, and our driver pointed at it."""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executor_tui.domain.clock import SystemClock
from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.model import NewContainer
from executor_tui.infra.proxmox.target import ProxmoxTarget

TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"
GIB = 1024**3

MakeDriver = Callable[..., Proxmox]


def certificate_fingerprint(pem_file: str) -> str:
    """SHA-256 of a certificate, as an operator would copy it from the node."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(pem_file).read_text())).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


@pytest.fixture
def pve(fakepve: Any) -> Any:
    """The fake itself, for faults and for looking at what was done: two nodes, a template, space on both storages."""
    fakepve.add_node("pve2")
    name = TEMPLATE.split(":", 1)[1]
    fakepve.storages["local"].setdefault("volumes", {})[name] = {"content": "vztmpl", "size": 120_000_000, "ctime": 0, "format": "tzst"}
    return fakepve


@pytest.fixture
def fingerprint(fakepve_cafile: str) -> str:
    return certificate_fingerprint(fakepve_cafile)


@pytest.fixture
def make_driver(pve: Any, fingerprint: str) -> Iterator[MakeDriver]:
    """A driver with the right password and the right pin, unless told otherwise."""
    made: list[Proxmox] = []

    def make(**changed: Any) -> Proxmox:
        task_s = changed.pop("task_s", 30.0)
        values = {"name": "pve", "host": pve.host, "port": pve.port, "user": "root@pam", "password": "secret", "fingerprint": fingerprint}
        made.append(Proxmox(ProxmoxTarget(**{**values, **changed}), SystemClock(), poll_s=0.01, task_s=task_s))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def driver(make_driver: MakeDriver) -> Proxmox:
    return make_driver()


def new_container(vmid: int = 101, **changed: Any) -> NewContainer:
    values: dict[str, Any] = {
        "node": "pve1", "vmid": vmid, "template": TEMPLATE, "storage": "local-lvm", "hostname": f"box-{vmid}", "cores": 2,
        "memory_mb": 1024, "swap_mb": 512, "disk_gb": 8, "bridge": "vmbr0", "tags": ("executor", "run-p1"),
    }  # fmt: skip
    return NewContainer(**{**values, **changed})
