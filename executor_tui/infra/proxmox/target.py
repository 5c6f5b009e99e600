"""Where a Proxmox cluster is, who we are there, and how to be sure it is the right one."""

import re
from dataclasses import dataclass, field

from executor_tui.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ProxmoxTarget:
    """How to reach one cluster, through any of its nodes.

    `user` carries its realm (`root@pam`). Either `password` or `token_name` with `token_value`. With a `fingerprint` (SHA-256 of the
    certificate) the node must show exactly that one; without, its certificate must verify like a web server's. `connect_s` and
    `answer_s` bound every request.
    """

    name: str
    host: str
    user: str
    port: int = 8006
    password: str = field(default="", repr=False)
    token_name: str = ""
    token_value: str = field(default="", repr=False)
    fingerprint: str = ""
    connect_s: float = 5.0
    answer_s: float = 30.0

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}/api2/json"


def normalised_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as 64 lower-case hexadecimal digits. Raises ConfigError."""
    digits = re.sub(r"[:\s]", "", text).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ConfigError(
            f"a certificate fingerprint has 64 hexadecimal digits, this one has {len(digits)} characters",
            hint="copy it from the node's Certificates page, or: openssl x509 -noout -fingerprint -sha256",
        )
    return digits
