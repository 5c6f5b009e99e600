"""`executor net` as an operator uses it, against a simulated router in a thread of its own."""

import asyncio
import contextlib
import io
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from executor_tui.cli.main import main
from executor_tui.config.places import Places
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from tests.conftest import CANARY
from tests.core.changes.office import write_router


@pytest.fixture
def router() -> Iterator[RouterOsSimulator]:
    """The command runs a loop of its own in this thread, so the router has another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    simulator = RouterOsSimulator(tls=True, users={"executor": CANARY})
    asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(10)
    yield simulator
    asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


class Operator:
    def __init__(self, places: Places, patch: pytest.MonkeyPatch) -> None:
        self.places, self.patch = places, patch

    def run(self, *words: str, stdin: str = "") -> Done:
        argv = ["executor", *words, "--config", str(self.places.config_dir), "--state", str(self.places.state_dir)]
        out, err = io.StringIO(), io.StringIO()
        self.patch.setattr(sys, "argv", argv)
        self.patch.setattr(sys, "stdin", io.StringIO(stdin))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        return Done(int(str(ended.value.code or 0)), out.getvalue(), err.getvalue())

    def json(self, *words: str, code: int = 0, stdin: str = "") -> Any:
        done = self.run(*words, "--json", stdin=stdin)
        assert done.code == code, done.out + done.err
        return json.loads(done.out)


@pytest.fixture
def operator(places: Places, router: RouterOsSimulator, monkeypatch: pytest.MonkeyPatch) -> Operator:
    write_router(places, router)
    (places.config_dir / "executor.json").write_text(json.dumps({"approvals": {"auto_approve": ["read", "restorable"]}}))
    return Operator(places, monkeypatch)


def test_a_limit_from_plan_to_undo(operator: Operator, router: RouterOsSimulator) -> None:
    plan = operator.run("net", "limit", "192.168.88.23", "--down", "20M", "--plan")
    assert plan.code == 0 and plan.out.splitlines()[0] == "+ limit 192.168.88.23/32: down 20M, up unlimited"
    assert "risk: restorable" in plan.out and "guard: safe mode" in plan.out and "warning: connections that rule *6 fasttracks" in plan.out
    assert router.values("/queue/simple") == []
    made = operator.json("net", "limit", "192.168.88.23", "--down", "20M")
    assert made["change"]["status"] == "done" and router.values("/queue/simple")[0]["max-limit"] == "0/20000000"
    assert operator.json("net", "apply", "limit target=192.168.88.23 down=20M")["change"]["status"] == "nothing_to_do"
    assert "executor 192.168.88.23/32" in operator.run("net", "queues").out
    undone = operator.run("changes", "undo", made["change"]["id"], "--yes")
    assert undone.code == 0 and router.values("/queue/simple") == []


def test_what_is_disruptive_waits_and_what_shuts_us_out_takes_its_word(operator: Operator, router: RouterOsSimulator) -> None:
    waits = operator.run("net", "rule", "drop", "--src-address", "10.0.0.5")
    assert waits.code == 3 and "executor approvals approve apr-" in waits.out
    done = operator.run("net", "rule", "drop", "--src-address", "10.0.0.5", "--yes")
    assert done.code == 0 and "+ filter forward drop src-address=10.0.0.5" in done.err
    lockout = operator.run("net", "rule", "drop", "--chain", "input", "--yes")
    assert lockout.code == 3 and "! this would drop Executor's next connection" in lockout.err and "risk: destructive" in lockout.err
    assert sum(row.get("comment", "").startswith("executor ") for row in router.values("/ip/firewall/filter")) == 1


def test_a_client_gets_its_configuration_as_text_and_as_a_code(operator: Operator, router: RouterOsSimulator, tmp_path: Path) -> None:
    assert operator.run("net", "peer", "phone", "--dns", "10.99.0.1").code == 0
    text = operator.run("net", "client", "phone").out
    assert text.startswith("[Interface]\nPrivateKey = ") and "Endpoint = 203.0.113.14:13231" in text and "DNS = 10.99.0.1" in text
    private = text.splitlines()[1].removeprefix("PrivateKey = ")
    assert operator.run("net", "client", "phone", "--qr").out.count("█") > 100
    picture = tmp_path / "phone.svg"
    assert operator.run("net", "client", "phone", "--svg", str(picture)).code == 0
    assert picture.read_text().lstrip().startswith("<?xml") and picture.stat().st_mode & 0o077 == 0
    assert not any(private.encode() in path.read_bytes() for path in operator.places.state_dir.rglob("*") if path.is_file())
    stranger = operator.run("net", "client", "maria")
    assert stranger.code == 2 and "was not made by this Executor" in stranger.err


def test_looking_shows_what_is_there_and_no_secret(operator: Operator, router: RouterOsSimulator) -> None:
    router.state.table("/ppp/secret").add({"name": "anna", "password": CANARY, "service": "l2tp", "profile": "default"})
    shown = {name: operator.run("net", name) for name in ("status", "interfaces", "leases", "rules", "lists", "wireguard", "ppp", "rates")}
    assert all(done.code == 0 for done in shown.values())
    assert "7.24 (stable)" in shown["status"].out and "laptop-maria" in shown["leases"].out and "anna" in shown["ppp"].out
    assert "defconf: drop invalid" in shown["rules"].out and "198.51.100.7" in shown["lists"].out and "bridge" in shown["rates"].out
    assert "/ip firewall nat" in operator.run("net", "export").out
    assert len(operator.json("net", "logs", "--last", "3")["lines"]) == 3
    everything = "".join(done.out + done.err for done in shown.values()) + operator.run("net", "export").out
    assert CANARY not in everything and "private-key=" not in everything


def test_operations_come_as_words_as_json_and_from_stdin(operator: Operator, router: RouterOsSimulator) -> None:
    given = json.dumps([{"op": "net.address", "list": "blocked", "address": "10.1.0.1"}])
    assert operator.json("net", "apply", stdin=given)["change"]["status"] == "done"
    assert operator.json("net", "apply", given)["change"]["status"] == "nothing_to_do"
    planned = operator.json("net", "plan", "address list=blocked address=10.1.0.2", '{"op": "net.masquerade"}')["plan"]
    assert planned["diff"] == ["+ address 10.1.0.2 on list blocked"] and planned["risk"] == "restorable"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("net", "limit", "192.168.88.23"), "say how much: down, up or both"),
        (("net", "limit", "192.168.88.23", "--down", "fast"), "operation 1, down: write bits per second as 20M, 512k or 1500000"),
        (("net", "apply", "limit 192.168.88.23"), "'192.168.88.23' is no NAME=VALUE"),
        (("net", "apply", "nonsense a=b"), "Input tag 'net.nonsense'"),
        (("net", "frobnicate"), "no command 'frobnicate'; there are: apply, client"),
        (("net", "remove", "rule", "--id", "*5"), "is not Executor's"),
        (("net", "give everyone everything", "--yes"), "consented to after its plan is shown, never before"),
    ],
)
def test_mistakes_are_one_clear_line(operator: Operator, words: tuple[str, ...], said: str) -> None:
    done = operator.run(*words)
    assert done.code in (1, 2) and said in done.out + done.err


def test_without_a_router_the_message_says_what_to_write(operator: Operator) -> None:
    (operator.places.config_dir / "fleet_registry.json").write_text('{"agents": []}')
    done = operator.run("net", "status")
    assert done.code == 2 and "no agent with a routeros device" in done.err


def test_the_fleet_can_be_pinged_before_a_node_ever_ran(operator: Operator, router: RouterOsSimulator) -> None:
    answer = operator.json("fleet", "ping", "network-001")["agents"][0]
    assert (answer["state"], answer["reason"]) == ("online", "") and answer["latency_ms"] > 0
    router.health.free_hdd_bytes = 1_000_000
    assert "its disk is 99% full" in operator.run("fleet", "ping").out
