"""Where a router is and how to be sure it is the right one."""

import re
import ssl
from dataclasses import dataclass, field

from executor_tui.domain.errors import ConfigError

_HEX = re.compile(r"[0-9a-f]{64}")


def normalised_fingerprint(text: str) -> str:
    """SHA-256 fingerprint as 64 lower-case hexadecimal digits; colons and spaces are taken out. Raises `ConfigError`."""
    digits = re.sub(r"[:\s]", "", text).lower()
    if not _HEX.fullmatch(digits):
        raise ConfigError(
            f"a certificate fingerprint has 64 hexadecimal digits, this one has {len(digits)} characters",
            hint="Copy it from /certificate print on the router.",
        )
    return digits


@dataclass(frozen=True, slots=True)
class RouterOsTarget:
    """How to reach one router.

    With `tls` and a `fingerprint` (SHA-256, hexadecimal) the router must show exactly that certificate. With `tls` and none, its
    certificate must verify like a web server's. `timeout_s` bounds connecting and every single command.
    """

    name: str
    host: str
    username: str
    password: str = field(repr=False)
    port: int = 8729
    tls: bool = True
    fingerprint: str = ""
    timeout_s: float = 10.0

    def ssl_context(self) -> ssl.SSLContext | None:
        """The context for this target. A pinned certificate is compared after the handshake, by whoever connects."""
        if not self.tls:
            return None
        if not self.fingerprint:
            return ssl.create_default_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
