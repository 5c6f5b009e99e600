"""Asking for a change in words from the console: the request is recorded, and followed where changes are followed."""

import json

import pytest
from desk import Desk, open_desk

from executor_tui.config.places import Places
from executor_tui.domain.change import ChangeStatus
from executor_tui.ui.widgets.bars import CrumbBar


def router(name: str) -> dict[str, object]:
    device = {"kind": "routeros", "host": "127.0.0.1", "user": "executor", "password": "vault:router", "tls": False}
    return {"id": name, "name": "Network Agent", "type": "infrastructure", "role": "network", "device": device}


@pytest.fixture
def one_router(places: Places) -> Places:
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": [router("network-001")]}))
    return places


async def test_colon_net_records_the_request_and_opens_the_change(one_router: Places) -> None:
    async with open_desk(one_router) as desk:
        await desk.type(":net give 10.0.0.23 at most 20 Mbit\n")
        await desk.until(lambda: "chg-" in desk.app.screen.query(CrumbBar).first().text)
        made = (await desk.store.changes.list())[0]
        assert made.summary == "give 10.0.0.23 at most 20 Mbit" and made.requested_by == "anna"
        assert made.device == "network-001" and made.status is ChangeStatus.PLANNED and not made.operations
        assert made.id in desk.app.screen.query_one(CrumbBar).text


async def test_w_on_infra_asks_the_device_under_the_cursor(one_router: Places) -> None:
    async with open_desk(one_router) as desk:
        await desk.press("7", "w")
        await desk.type("block 203.0.113.9\n")
        await desk.until(lambda: "chg-" in desk.app.screen.query(CrumbBar).first().text)
        assert (await desk.store.changes.list())[0].summary == "block 203.0.113.9"


async def test_without_words_or_without_a_device_it_says_what_is_missing(desk: Desk) -> None:
    await desk.type(":net\n")
    await desk.see("needs a request in words")
    await desk.type(":lxc a Debian box\n")
    await desk.see("no agent with a proxmox device")


async def test_of_several_devices_one_has_to_be_named(places: Places) -> None:
    agents = [router("network-001"), router("network-002")]
    (places.config_dir / "fleet_registry.json").write_text(json.dumps({"agents": agents}))
    async with open_desk(places) as desk:
        await desk.type(":net block it\n")
        await desk.see("network-001, network-002")
        await desk.type(":net @network-002 block it\n")
        await desk.until(lambda: "chg-" in desk.app.screen.query(CrumbBar).first().text)
        assert (await desk.store.changes.list())[0].device == "network-002"


async def test_u_on_a_change_that_was_made_asks_for_it_to_be_taken_back(desk: Desk) -> None:
    await desk.type(":change chg-3\n")
    await desk.see("create CT 140")
    await desk.press("u")
    await desk.see("Take back chg-3?")
    await desk.press("right", "enter")
    await desk.until(lambda: desk.app.said is not None and "takes chg-3 back" in desk.app.said.text)
    made = max(await desk.store.changes.list(), key=lambda c: (c.created_at, c.id))
    assert made.summary == "undo chg-3: create CT 140 run-invoices" and made.kind == "proxmox" and made.requested_by == "anna"
    assert made.operations == ({"op": "lxc.delete", "vmid": 140},) and made.status is ChangeStatus.PLANNED


async def test_what_was_not_made_cannot_be_taken_back(desk: Desk) -> None:
    await desk.type(":change chg-1\n")
    await desk.see("NAT 443")
    await desk.press("u")
    await desk.see("nothing was changed")
    await desk.type(":undo chg-1\n")
    await desk.see("was not made")


async def test_view_only_asks_for_nothing(one_router: Places) -> None:
    async with open_desk(one_router, view_only=True) as desk:
        before = len(await desk.store.changes.list())
        await desk.type(":net block it\n")
        await desk.see("view-only")
        assert len(await desk.store.changes.list()) == before
