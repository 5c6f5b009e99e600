"""How risky each thing is that a change may do. The whole policy is this table; the highest tier of a change's entries counts.

read         looks only
restorable   can be taken back exactly, and breaks nothing meanwhile
disruptive   can be taken back, but something stops working meanwhile, or may
destructive  nothing brings back what is lost
"""

from collections.abc import Sequence

from executor_tui.domain.change import Risk

RISKS: dict[str, Risk] = {
    # Containers
    "lxc.backup": Risk.RESTORABLE,
    "lxc.create": Risk.RESTORABLE,
    "lxc.clone": Risk.RESTORABLE,
    "lxc.start": Risk.RESTORABLE,
    "lxc.snapshot": Risk.RESTORABLE,
    "lxc.resize": Risk.RESTORABLE,
    "lxc.resize.disk": Risk.DISRUPTIVE,
    "lxc.shutdown": Risk.DISRUPTIVE,
    "lxc.stop": Risk.DISRUPTIVE,
    "lxc.reboot": Risk.DISRUPTIVE,
    "lxc.delete": Risk.DESTRUCTIVE,
    "lxc.delete_snapshot": Risk.DESTRUCTIVE,
    "lxc.rollback": Risk.DESTRUCTIVE,
    # A project's own container, while it runs there: its commits are on this machine, so no work is lost with it
    "lxc.run.clone": Risk.RESTORABLE,
    "lxc.run.snapshot": Risk.RESTORABLE,
    "lxc.run.start": Risk.RESTORABLE,
    "lxc.run.shutdown": Risk.DISRUPTIVE,
    "lxc.run.stop": Risk.DISRUPTIVE,
    "lxc.run.delete": Risk.DESTRUCTIVE,
    # Routers: what lets through is restorable, what stops or turns traffic may cut somebody off
    "net.address_list": Risk.RESTORABLE,
    "net.filter.accept": Risk.RESTORABLE,
    "net.filter.log": Risk.RESTORABLE,
    "net.filter.drop": Risk.DISRUPTIVE,
    "net.filter.reject": Risk.DISRUPTIVE,
    "net.filter.move": Risk.DISRUPTIVE,
    "net.nat.masquerade": Risk.DISRUPTIVE,
    "net.nat.forward": Risk.DISRUPTIVE,
    "net.wireguard": Risk.RESTORABLE,
    "net.wireguard.peer": Risk.RESTORABLE,
    "net.wireguard.inside": Risk.DISRUPTIVE,
    "net.queue": Risk.RESTORABLE,
    "net.remove.own": Risk.DISRUPTIVE,
    "net.remove.foreign": Risk.DESTRUCTIVE,
    "net.set.foreign": Risk.DISRUPTIVE,
    "net.lockout": Risk.DESTRUCTIVE,
}

_ORDER = tuple(Risk)


def risk_of(keys: Sequence[str]) -> Risk:
    """The highest tier among these; nothing to do is a read, and what the table does not know is taken for the worst."""
    tiers = [RISKS.get(key, Risk.DESTRUCTIVE) for key in keys]
    return max(tiers, key=_ORDER.index, default=Risk.READ)
