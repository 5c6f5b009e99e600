"""WireGuard with real X25519 keys, and PPP accounts."""

import base64
import secrets

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from executor_tui.lab.routeros.addresses import endpoint, host, prefixes
from executor_tui.lab.routeros.errors import failure
from executor_tui.lab.routeros.schema import ORDERED, READ, Field, Menu, Unique, menu
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.table import Row
from executor_tui.lab.routeros.values import (
    Normaliser,
    boolean,
    integer,
    interval,
    one_of,
    reference,
    string,
    x25519_key,
)

_COMMENT = Field("comment", string(), empty_unsets=True)
_DISABLED = Field("disabled", boolean, default="false")
_FIRST_PORT = 13231


def new_private_key() -> str:
    """A fresh WireGuard private key in base64."""
    key = X25519PrivateKey.generate()
    return base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())).decode()


def public_key_of(private_key: str) -> str:
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private_key))
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def _complete_interface(values: dict[str, str], router: Router) -> None:
    """The router fills in a name, a port and a key that were not given."""
    table = router.table("/interface/wireguard")
    if not values.get("name"):
        values["name"] = next(f"wireguard{n}" for n in range(1, len(table) + 2) if not router.has("interface", f"wireguard{n}"))
    if "listen-port" not in values:
        used = {row.values.get("listen-port") for row in table}
        values["listen-port"] = next(str(port) for port in range(_FIRST_PORT, 65_535) if str(port) not in used)
    values.setdefault("private-key", new_private_key())


def _interface(row: Row, router: Router) -> dict[str, str]:
    up = row.values.get("disabled") != "true"
    return {"public-key": public_key_of(row.values["private-key"]), "running": str(up).lower()}


def _complete_peer(values: dict[str, str], router: Router) -> None:
    private = values.get("private-key", "none")
    if private == "auto":
        values["private-key"] = private = new_private_key()
    if private not in ("", "none") and "public-key" not in values:
        values["public-key"] = public_key_of(private)
    if not values.get("public-key"):
        raise failure("public-key must be specified")
    if values.get("preshared-key") == "auto":
        values["preshared-key"] = base64.b64encode(secrets.token_bytes(32)).decode()
    if not values.get("name"):
        table = router.table("/interface/wireguard/peers")
        values["name"] = next(f"peer{n}" for n in range(1, len(table) + 2) if not table.by_value("name", f"peer{n}"))


def _peer(row: Row, router: Router) -> dict[str, str]:
    now_s = router.clock.monotonic_s()
    rx, tx = (router.traffic.meter(f"peer/{row.id}/{way}", now_s, running="handshake" in row.facts) for way in ("rx", "tx"))
    shown = {
        "current-endpoint-address": row.values.get("endpoint-address", ""),
        "current-endpoint-port": row.values.get("endpoint-port", "0"),
        "rx": str(rx.bytes(now_s)),
        "tx": str(tx.bytes(now_s)),
    }
    if "handshake" in row.facts:
        shown["last-handshake"] = interval(str(int(router.uptime_s()) % 120), "last-handshake", router)
    return shown


def _or_word(one: Normaliser, *words: str) -> Normaliser:
    def normalise(text: str, field: str, names: object) -> str:
        return text if text in words else one(text, field, names)  # type: ignore[arg-type]

    return normalise


def _secret_state(row: Row, router: Router) -> dict[str, str]:
    return {
        "last-logged-out": row.facts.get("last-logged-out", "1970-01-01 00:00:00"),
        "last-caller-id": "",
        "last-disconnect-reason": "",
    }


def _facts(row: Row, router: Router) -> dict[str, str]:
    return dict(row.facts)


MENUS: tuple[Menu, ...] = (
    menu(
        "/interface/wireguard",
        "wireguard interface",
        Field("name", string(min_length=1)),
        Field("listen-port", integer(0, 65_535)),
        Field("mtu", integer(576, 65_535), default="1420"),
        Field("private-key", x25519_key, sensitive=True),
        _COMMENT,
        _DISABLED,
        name_key="name",
        uniques=(Unique(("listen-port",), "wireguard interface with such port already exists", enabled_only=True),),
        check=_complete_interface,
        derive=_interface,
    ),
    menu(
        "/interface/wireguard/peers",
        "wireguard peer",
        Field("interface", reference("wireguard"), required=True),
        Field("name", string()),
        Field("public-key", x25519_key),
        Field("private-key", _or_word(x25519_key, "none", "auto", ""), sensitive=True),
        Field("preshared-key", _or_word(x25519_key, "none", "auto", ""), sensitive=True),
        Field("allowed-address", prefixes, default=""),
        Field("endpoint-address", endpoint, default=""),
        Field("endpoint-port", integer(0, 65_535), default="0"),
        Field("persistent-keepalive", interval),
        Field("client-address", prefixes),
        Field("client-dns", string()),
        Field("client-endpoint", endpoint),
        Field("client-keepalive", interval),
        Field("client-listen-port", integer(0, 65_535)),
        Field("client-allowed-address", prefixes),
        Field("responder", boolean),
        _COMMENT,
        _DISABLED,
        verbs=ORDERED,
        name_key="name",
        uniques=(Unique(("public-key",), "entry already exists"),),
        check=_complete_peer,
        derive=_peer,
    ),
    menu("/ppp/profile", "ppp profile", Field("name", string()), verbs=READ, name_key="name", derive=_facts),
    menu(
        "/ppp/secret",
        "ppp secret",
        Field("name", string(min_length=1), required=True),
        Field("password", string(), default="", sensitive=True),
        Field("service", one_of("any", "async", "l2tp", "ovpn", "pppoe", "pptp", "sstp"), default="any"),
        Field("profile", reference("profile"), default="default"),
        Field("caller-id", string(), default=""),
        Field("local-address", host),
        Field("remote-address", host),
        Field("routes", string(), default=""),
        Field("limit-bytes-in", integer(0, 2**63 - 1), default="0"),
        Field("limit-bytes-out", integer(0, 2**63 - 1), default="0"),
        _COMMENT,
        _DISABLED,
        name_key="name",
        uniques=(Unique(("name",), "secret with the same name already exists"),),
        derive=_secret_state,
    ),
    menu("/ppp/active", "ppp active", Field("name", string()), verbs=READ | {"remove"}, name_key="name", derive=_facts),
)
