"""How long a plan against a long firewall takes, told in ratios: against a short one, and reading against thinking.

`python benchmarks/network_plan.py [rules]`. Seconds are of the CPU, so that a busy machine does not blur them. The router is simulated in
this process, so that half of what reading costs is its side of it.
"""

import asyncio
import sys
import time

from executor_tui.agents.links import Link
from executor_tui.agents.network import NetworkDevice
from executor_tui.agents.routers import operations as ops
from executor_tui.agents.routers import planning
from executor_tui.domain.clock import SystemClock
from executor_tui.infra.routeros.target import RouterOsTarget
from executor_tui.lab.routeros.simulator import RouterOsSimulator

FILTER = "/ip/firewall/filter"
OPERATION = {"op": "net.rule", "chain": "input", "action": "drop", "src_address": "203.0.113.77", "mark": "chg-bench.1"}
ROUNDS = 3


def fill(router: RouterOsSimulator, rules: int) -> None:
    """Rules as a long list of blocked addresses would be."""
    table = router.state.table(FILTER)
    for number in range(rules - len(table)):
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        table.add(
            {"chain": "input", "action": "drop", "src-address": address, "protocol": "tcp", "dst-port": "22,80", "comment": f"n{number}"}
        )


async def no_container(named: int | str) -> str:
    raise LookupError(named)


async def measured(rules: int) -> tuple[float, float, float]:
    """CPU seconds of the whole, of reading, and of planning alone; the best of a few rounds."""
    async with RouterOsSimulator() as router:
        fill(router, rules)
        target = RouterOsTarget("bench", router.host, "admin", "admin", router.port, tls=False)
        link = Link(target, SystemClock())
        device = NetworkDevice("bench", link, SystemClock(), no_container)
        wanted = ops.parse([OPERATION])
        whole: list[float] = []
        reading: list[float] = []
        thinking: list[float] = []
        for _ in range(ROUNDS):
            started = time.process_time()
            plan = await device.plan([OPERATION], "chg-bench")
            whole.append(time.process_time() - started)
            assert len(plan.calls) == 1
            started = time.process_time()
            state = await device._state(planning.menus_of(wanted))
            reading.append(time.process_time() - started)
            assert len(state.rows(FILTER)) == max(rules, 9)
            started = time.process_time()
            planning.plan(wanted, state, "bench", "chg-bench")
            thinking.append(time.process_time() - started)
        link.drop()
    return min(whole), min(reading), min(thinking)


async def main(rules: int) -> None:
    short, long = await measured(100), await measured(rules)
    print(f"{rules} rules: {long[0]:.2f} s of CPU in all, {long[1]:.2f} s reading (both sides), {long[2]:.3f} s planning")
    print(f"against 100 rules: {long[0] / short[0]:.1f} times the time for {rules / 100:.0f} times the rules")
    print(f"planning is {long[2] / long[0]:.0%} of the whole; the whole is {long[0] / 1.0:.0%} of a second")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000))
