"""Which kind of value each property is, which are secret, and what an absent one means; after the vendor's manual."""

from collections.abc import Mapping

# Kinds are those of `values.MEANINGS`; whatever is not named here is plain text.
_EVERYWHERE: Mapping[str, str] = {
    "disabled": "bool",
    "dynamic": "bool",
    "invalid": "bool",
    "running": "bool",
    "log": "bool",
    "protocol": "protocol",
    "src-address": "matcher",
    "dst-address": "matcher",
    "to-addresses": "matcher",
    "to-address": "matcher",
    "src-port": "ports",
    "dst-port": "ports",
    "port": "ports",
    "to-ports": "ports",
    "connection-state": "words",
    "connection-nat-state": "words",
    "src-mac-address": "mac",
    "mac-address": "mac",
    "address-list-timeout": "interval",
    "timeout": "interval",
    "interval": "interval",
    "lease-time": "interval",
    "persistent-keepalive": "interval",
    "allowed-address": "targets",
    "client-address": "targets",
    "client-allowed-address": "targets",
    "policy": "words",
    "listen-port": "int",
    "endpoint-port": "int",
    "mtu": "int",
    "distance": "int",
}
_BY_MENU: Mapping[str, Mapping[str, str]] = {
    "/ip/firewall/address-list": {"address": "listed"},
    "/ipv6/firewall/address-list": {"address": "listed"},
    "/ip/address": {"address": "interface address"},
    "/queue/simple": {
        "target": "targets",
        "dst": "targets",
        "max-limit": "rate pair",
        "limit-at": "rate pair",
        "burst-limit": "rate pair",
        "burst-threshold": "rate pair",
        "burst-time": "interval pair",
        "priority": "int pair",
        "queue": "text pair",
        "bucket-size": "text pair",
    },
    "/queue/tree": {
        "max-limit": "rate",
        "limit-at": "rate",
        "burst-limit": "rate",
        "burst-threshold": "rate",
        "burst-time": "interval",
        "priority": "int",
    },
    "/ip/service": {"port": "int"},
}

# What a property means when an item does not show it.
_ABSENT: Mapping[str, str] = {"disabled": "no", "log": "no", "dynamic": "no"}

SECRETS = frozenset({"private-key", "preshared-key", "password", "secret"})
"""Properties that never leave the driver unless asked for by name."""

HIDDEN = "(hidden)"

# State and counters: they differ from one moment to the next and are not configuration.
STATE = frozenset(
    {
        "bytes",
        "packets",
        "rate",
        "invalid",
        "dynamic",
        "running",
        "rx",
        "tx",
        "rx-byte",
        "tx-byte",
        "rx-packet",
        "tx-packet",
        "last-handshake",
    }
    | {"run-count", "next-run", "owner", "creation-time", "actual-interface", "slave", "vrf", "network", "dropped", "status", "last-seen"}
    | {
        "current-endpoint-address",
        "current-endpoint-port",
        "expires-after",
        "rx-drop",
        "tx-drop",
        "rx-error",
        "tx-error",
        "public-key-fingerprint",
    }
)


def kind_of(menu: str, name: str) -> str:
    """The kind of a property in a menu."""
    return _BY_MENU.get(menu, {}).get(name) or _EVERYWHERE.get(name, "text")


def absent_value(name: str) -> str:
    """The text an absent property stands for."""
    return _ABSENT.get(name, "")
