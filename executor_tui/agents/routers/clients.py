"""What a WireGuard client is given: its configuration as text and as a QR code, with its private key: for its owner's eyes only."""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import segno

from executor_tui.agents.device import PlanRefusedError
from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers.marks import change_of, key_ref, mark_in, operation_of, preshared_ref
from executor_tui.infra.routeros.router import RouterOs
from executor_tui.infra.routeros.rows import Item, Wireguard, WireguardPeer
from executor_tui.infra.routeros.where import eq
from executor_tui.store.store import Store

_OWN_KEY = "# PrivateKey is the one the client made itself"
Secret = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Client:
    """Everything in a client's configuration."""

    name: str
    address: str
    server_key: str
    endpoint: str
    allowed: str
    dns: str = ""
    keepalive_s: int = 0
    private_key: str = field(default="", repr=False)
    preshared_key: str = field(default="", repr=False)

    def text(self) -> str:
        """In the form of wg-quick(8), which every client reads."""
        lines = ["[Interface]", f"PrivateKey = {self.private_key}" if self.private_key else _OWN_KEY, f"Address = {self.address}"]
        lines += [f"DNS = {self.dns}"] if self.dns else []
        lines += ["", "[Peer]", f"PublicKey = {self.server_key}"]
        lines += [f"PresharedKey = {self.preshared_key}"] if self.preshared_key else []
        lines += [f"AllowedIPs = {self.allowed}", f"Endpoint = {self.endpoint}"]
        lines += [f"PersistentKeepalive = {self.keepalive_s}"] if self.keepalive_s else []
        return "\n".join(lines) + "\n"

    def qr_text(self) -> str:
        """The QR code for a terminal, two modules a line."""
        out = io.StringIO()
        segno.make_qr(self.text(), error="l").terminal(out, border=2, compact=True)
        return out.getvalue()

    def qr_svg(self) -> str:
        """The QR code as an SVG document."""
        out = io.BytesIO()
        segno.make_qr(self.text(), error="l").save(out, kind="svg", scale=4, border=4)
        return out.getvalue().decode()


async def client_of(router: RouterOs, device: str, store: Store, secret: Secret, name: str, interface: str = "") -> Client:
    """The configuration of a peer that Executor made. Raises PlanRefusedError, VaultError and what the driver raises."""
    peers = [p for p in await router.read(WireguardPeer) if p.name == name and interface in ("", p.interface)]
    if len(peers) != 1:
        where = f": say which interface ({', '.join(p.interface for p in peers)})" if peers else ""
        problem = f"several peers are called {name!r}{where}" if peers else f"there is no WireGuard peer {name!r}"
        raise PlanRefusedError(problem, hint="see what there is: executor net wireguard")
    peer, mark = peers[0], _mark(peers[0])
    change = await store.changes.find(change_of(mark)) if mark else None
    wanted = ops.parse([change.operations[operation_of(mark) - 1]])[0] if change is not None else None
    if not isinstance(wanted, ops.Peer):
        raise PlanRefusedError(f"the peer {name!r} was not made by this Executor: only its client has its key")
    tunnel = (await router.read(Wireguard, eq("name", peer.interface)))[0]
    made_here = await store.notes.get(f"secret.{key_ref(device, mark)}") is not None
    return Client(
        name=peer.name, address=wanted.address, server_key=tunnel.public_key, endpoint=_endpoint(wanted.endpoint, tunnel.listen_port),
        allowed=wanted.allowed, dns=wanted.dns, keepalive_s=wanted.keepalive_s,
        private_key=await secret(key_ref(device, mark)) if made_here else "",
        preshared_key=await secret(preshared_ref(device, mark)) if wanted.preshared else "",
    )  # fmt: skip


def _mark(row: Item) -> str:
    return mark_in(row.raw)


def _endpoint(host: str, port: int) -> str:
    """`host:port`, the interface's port where none was given."""
    if not host:
        return f"ROUTER:{port}"
    bare = host.rpartition("]")[2] if host.startswith("[") else host
    return host if ":" in bare else f"{host}:{port}"
