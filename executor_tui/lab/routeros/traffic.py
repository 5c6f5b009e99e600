"""Counters that move: each measured thing carries a steady load with a slow wave on it, computed from the clock."""

import hashlib
import math
from dataclasses import dataclass

_WAVE = 0.3
"""How far the rate swings around its mean."""
_PERIOD_S = 47.0
_BYTES_PER_PACKET = 870


@dataclass(frozen=True, slots=True)
class Meter:
    """`bits_per_s` on average since `since_s` (monotonic seconds), on top of `base_bytes` counted before."""

    bits_per_s: float
    since_s: float
    base_bytes: int = 0
    phase: float = 0.0

    def rate(self, now_s: float) -> int:
        """Bits per second at this moment."""
        angle = 2 * math.pi * (now_s - self.since_s) / _PERIOD_S + self.phase
        return int(self.bits_per_s * (1 + _WAVE * math.sin(angle)))

    def bytes(self, now_s: float) -> int:
        """Bytes so far: the integral of `rate`, so it never goes back."""
        omega = 2 * math.pi / _PERIOD_S
        elapsed = max(0.0, now_s - self.since_s)
        swing = _WAVE / omega * (math.cos(self.phase) - math.cos(omega * elapsed + self.phase))
        return self.base_bytes + int(self.bits_per_s / 8 * (elapsed + swing))

    def packets(self, now_s: float) -> int:
        return self.bytes(now_s) // _BYTES_PER_PACKET

    def changed(self, bits_per_s: float, now_s: float) -> "Meter":
        """The same counter with another load from now on."""
        return Meter(bits_per_s, now_s, self.bytes(now_s), self.phase)


def offered_load(key: str, low: float = 40_000, high: float = 30_000_000) -> tuple[float, float]:
    """A load in bits per second and a phase for the wave, always the same for the same key; small loads are commoner."""
    digest = hashlib.sha256(key.encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 0xFFFFFFFF
    phase = 2 * math.pi * digest[4] / 255
    return low * (high / low) ** share, phase


class Traffic:
    """The meters of one router, by a key that names what is measured."""

    def __init__(self) -> None:
        self._meters: dict[str, Meter] = {}

    def meter(self, key: str, now_s: float, *, limit_bps: int = 0, running: bool = True) -> Meter:
        """The meter for `key`, kept under `limit_bps` (0 = no limit) and still while not `running`."""
        offered, phase = offered_load(key)
        wanted = min(offered, limit_bps / (1 + _WAVE)) if limit_bps else offered
        wanted = wanted if running else 0.0
        current = self._meters.get(key) or Meter(wanted, now_s, phase=phase)
        if current.bits_per_s != wanted:
            current = current.changed(wanted, now_s)
        self._meters[key] = current
        return current

    def reset(self, prefix: str, now_s: float) -> None:
        """Start the counters whose key begins with `prefix` again from nothing."""
        for key, meter in list(self._meters.items()):
            if key == prefix or key.startswith(prefix + "/"):
                self._meters[key] = Meter(meter.bits_per_s, now_s, phase=meter.phase)
