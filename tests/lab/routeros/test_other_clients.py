"""Clients written by others find the simulator a router: `routeros-api` and `librouteros`, both blocking, both unchanged."""

import asyncio
import ssl

import librouteros
import pytest
import routeros_api
from librouteros.exceptions import TrapError
from librouteros.query import And, Key, Or
from routeros_api.exceptions import RouterOsApiCommunicationError


def their_pool(router, **options: object) -> routeros_api.RouterOsApiPool:
    return routeros_api.RouterOsApiPool("127.0.0.1", "admin", "admin", port=router.port, plaintext_login=True, **options)


async def test_routeros_api_reads_adds_changes_and_removes(router) -> None:
    def work() -> tuple[dict[str, str], list[dict[str, str]]]:
        pool = their_pool(router)
        try:
            queues = pool.get_api().get_resource("/queue/simple")
            assert queues.get() == []
            queues.add(**{"name": "anna", "target": "10.0.0.23", "max-limit": "20M/5M"})
            (added,) = queues.get(name="anna")
            queues.set(id=added["id"], disabled="yes")
            (changed,) = queues.get(name="anna")
            queues.remove(id=added["id"])
            return changed, queues.get()
        finally:
            pool.disconnect()

    changed, left = await asyncio.to_thread(work)
    assert changed["max-limit"] == "20000000/5000000" and changed["disabled"] == "true"
    assert left == []


async def test_routeros_api_tells_the_routers_words_when_refused(router) -> None:
    def work() -> None:
        pool = their_pool(router)
        try:
            pool.get_api().get_resource("/ip/firewall/filter").add(chain="input", action="explode")
        finally:
            pool.disconnect()

    with pytest.raises(RouterOsApiCommunicationError, match="input does not match any value of action"):
        await asyncio.to_thread(work)


async def test_routeros_api_logs_in_to_an_old_router_by_challenge(start) -> None:
    old = await start(version="6.42.12")

    def work() -> list[dict[str, str]]:
        pool = routeros_api.RouterOsApiPool("127.0.0.1", "admin", "admin", port=old.port)
        try:
            return pool.get_api().get_resource("/system/identity").get()
        finally:
            pool.disconnect()

    assert await asyncio.to_thread(work) == [{"name": "office-gw"}]


async def test_routeros_api_speaks_tls(start) -> None:
    router = await start(tls=True)
    context = ssl.create_default_context(cadata=router.tls.certificate_pem.decode())
    context.check_hostname = False

    def work() -> list[dict[str, str]]:
        pool = their_pool(router, ssl_context=context)
        try:
            return pool.get_api().get_resource("/certificate").get()
        finally:
            pool.disconnect()

    # The certificate is dated by the router's own clock, which may be ahead of this machine's.
    context.verify_mode = ssl.CERT_NONE
    (certificate,) = await asyncio.to_thread(work)
    assert certificate["fingerprint"] == router.fingerprint


async def test_librouteros_queries_with_its_own_operators(router) -> None:
    def work() -> list[list[str]]:
        api = librouteros.connect("127.0.0.1", "admin", "admin", port=router.port, encoding="utf-8")
        try:
            name, kind, running = Key("name"), Key("type"), Key("running")
            interfaces = api.path("interface").select(name)
            return [
                [row["name"] for row in interfaces.where(name.In("ether1", "bridge"))],
                [row["name"] for row in interfaces.where(And(kind == "ether", running == False))],  # noqa: E712
                [row["name"] for row in interfaces.where(Or(kind == "bridge", kind == "wg"))],
            ]
        finally:
            api.close()

    assert await asyncio.to_thread(work) == [["ether1", "bridge"], ["ether5"], ["bridge", "wg-staff"]]


async def test_librouteros_config_exports_validates_applies_and_arms_its_rollback(router) -> None:
    before = len(router.values("/ip/firewall/filter"))

    def work() -> tuple[str, bool, bool]:
        api = librouteros.connect("127.0.0.1", "admin", "admin", port=router.port, encoding="utf-8")
        try:
            config = api.config()
            config.validate("/ip firewall filter add chain=input action=drop comment=tried\n")
            with pytest.raises(TrapError, match="bad command name"):
                config.validate("/ip firewall fliter add chain=input\n")
            config.apply("/ip firewall filter add chain=input action=drop comment=applied\n")
            config.arm_rollback(60)
            armed = config.rollback_pending()
            config.cancel_rollback()
            return config.export(path="ip/firewall"), armed, config.rollback_pending()
        finally:
            api.close()

    text, armed, still_armed = await asyncio.to_thread(work)
    assert "add action=drop chain=input comment=applied" in text and "tried" not in text
    assert (armed, still_armed) == (True, False)
    assert len(router.values("/ip/firewall/filter")) == before + 1
    assert router.values("/file") == []
