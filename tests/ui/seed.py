"""A lively fleet in a store: what the console's tests and pictures look at. Everything is derived from the clock's now, nothing is random."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalScope, ApprovalStatus
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.change import Change, ChangeStatus, Receipt, Risk
from executor_tui.domain.event import Event, Level
from executor_tui.domain.key import FailureClass, Key, KeyState, Park, ParkScope, ParkSource, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.domain.node import Node
from executor_tui.domain.project import Project, ProjectStatus, Question, Stage, Step, StepStatus, Where
from executor_tui.domain.recovery import Checkpoint, OutageKind, RecoveryReport
from executor_tui.store.limits import LimitRow
from executor_tui.store.store import Store


def ago(now: datetime, **span: float) -> datetime:
    return now - timedelta(**span)


def agents(now: datetime) -> tuple[Agent, ...]:
    infra, project = AgentType.INFRASTRUCTURE, AgentType.PROJECT
    return (
        Agent("architect-001", "Architect", project, Role.ARCHITECT, AgentState.WAITING, "waits for approval of claude-opus",
              "design the parser of prj-wordlang", "prj-wordlang", "claude-opus", 0.412, state_since=ago(now, minutes=3),
              last_seen_at=ago(now, seconds=4), latency_ms=12.0),
        Agent("coder-001", "Coder", project, Role.CODER, AgentState.BUSY, "", "round 2: make test_empty_input pass", "prj-invoices",
              "claude-sonnet", 1.874, state_since=ago(now, minutes=11), last_seen_at=ago(now, seconds=4), latency_ms=9.0),
        Agent("coder-002", "Coder", project, Role.CODER, AgentState.BUSY, "", "write src/feed.py", "prj-rssfeed", "gpt-4o-mini", 0.094,
              state_since=ago(now, minutes=2), last_seen_at=ago(now, seconds=4), latency_ms=8.0),
        Agent("deep-search-001", "Deep Search", infra, Role.DEEP_SEARCH, AgentState.ONLINE, "", "", None, "sonar", 0.031,
              state_since=ago(now, hours=2), last_seen_at=ago(now, seconds=4), latency_ms=41.0),
        Agent("network-001", "Network Agent", infra, Role.NETWORK, AgentState.DEGRADED, "safe mode is held by another session", "", None,
              "claude-opus", 0.57, device="rb5009-home", state_since=ago(now, minutes=26), last_seen_at=ago(now, seconds=5), latency_ms=230.0),
        Agent("pm-001", "PM Agent", project, Role.PM, AgentState.ONLINE, "", "", None, "gemini-flash", 0.044, state_since=ago(now, minutes=40),
              last_seen_at=ago(now, seconds=4), latency_ms=7.0),
        Agent("proxmox-001", "Proxmox Agent", infra, Role.PROXMOX, AgentState.OFFLINE, "pve1:8006 does not answer within 5 s", "", None,
              "claude-opus", 0.22, device="pve1", state_since=ago(now, minutes=8), last_seen_at=ago(now, minutes=8)),
        Agent("qa-001", "QA Agent", project, Role.QA, AgentState.ONLINE, "", "", None, "gemini-flash", 0.118, paused=True,
              state_since=ago(now, hours=5), last_seen_at=ago(now, seconds=4), latency_ms=10.0),
    )  # fmt: skip


def keys(now: datetime) -> tuple[tuple[Key, QuotaPool], ...]:
    rows: Sequence[tuple[str, str, str, Tier, KeyState, str, int, int, float, float]] = (
        ("anthropic", "default", "k3Qx", Tier.CRITICAL, KeyState.VERIFIED, "", 412, 3, 6.31, 0.2),
        ("google", "default", "9fZa", Tier.PREMIUM, KeyState.VERIFIED, "", 1804, 61, 0.84, 0.1),
        ("google", "account-2", "Pq07", Tier.PREMIUM, KeyState.VERIFIED, "", 955, 12, 0.41, 0.6),
        ("openai", "default", "m2Wd", Tier.PREMIUM, KeyState.VERIFIED, "", 640, 2, 2.07, 0.3),
        ("openai", "research", "Zt81", Tier.PREMIUM, KeyState.INVALID, "401: this key was revoked", 12, 12, 0.0, 300.0),
        ("openrouter", "default", "77ab", Tier.PREMIUM, KeyState.UNVERIFIED, "", 0, 0, 0.0, 0.0),
        ("perplexity", "default", "hh4K", Tier.PREMIUM, KeyState.VERIFIED, "", 38, 0, 0.19, 31.0),
    )
    found = []
    for provider, account, tail, tier, state, reason, calls, failures, cost, minutes in rows:
        pool = QuotaPool(QuotaPool.id_for(provider, account), provider, account)
        key = Key(
            f"key-{provider}-{account}", provider, pool.id, tier, f"ref-{provider}-{account}", f"fp-{provider}-{account}", tail, "", state, reason,
            ago(now, days=9), ago(now, hours=5) if state is KeyState.VERIFIED else None, ago(now, minutes=minutes) if calls else None,
            calls, failures, cost,
        )  # fmt: skip
        found.append((key, pool))
    return tuple(found)


def parks(now: datetime) -> tuple[Park, ...]:
    return (
        Park("prk-1", ParkScope.POOL_MODEL, "google/default", "gemini-pro", "", FailureClass.QUOTA_EXHAUSTED, ParkSource.COMPUTED,
             ago(now, minutes=52), now + timedelta(hours=11, minutes=4), "GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        Park("prk-2", ParkScope.POOL, "openai/default", "", "", FailureClass.RATE_LIMITED, ParkSource.PROVIDER, ago(now, seconds=20),
             now + timedelta(seconds=38), "x-ratelimit-reset-requests: 58s"),
    )  # fmt: skip


def projects(now: datetime) -> tuple[Project, ...]:
    return (
        Project("prj-invoices", "A command-line tool that turns a folder of invoices into one CSV", ProjectStatus.RUNNING, Stage.CODER, 2, 4, 5.0,
                1.874, branch="executor/prj-invoices", head="9c41d07be2", repo_path="", created_by="anna", node_id="node-home",
                created_at=ago(now, minutes=34), updated_at=ago(now, seconds=20)),
        Project("prj-rssfeed", "Publish my bookmarks as an RSS feed", ProjectStatus.RUNNING, Stage.CODER, 1, 4, 2.0, 0.094, created_by="anna",
                created_at=ago(now, minutes=9), updated_at=ago(now, seconds=50), node_id="node-home"),
        Project("prj-wordlang", "Count the words of a text by language, with tests", ProjectStatus.RUNNING, Stage.ARCHITECT, 0, 4, 5.0, 0.412,
                created_by="ben", created_at=ago(now, minutes=14), updated_at=ago(now, minutes=3), node_id="node-home"),
        Project("prj-backup", "Nightly backup of the NAS to object storage", ProjectStatus.ASKING, Stage.QA, 4, 4, 5.0, 4.31, created_by="anna",
                created_at=ago(now, hours=3), updated_at=ago(now, minutes=21), detail="4 rounds used, 1 test still fails"),
        Project("prj-dashboard", "A status page for the house, from MQTT", ProjectStatus.DELIVERED, Stage.DELIVERED, 2, 4, 5.0, 2.205,
                repo_path="", head="1f00ba9", created_by="anna", created_at=ago(now, hours=26), updated_at=ago(now, hours=25),
                finished_at=ago(now, hours=25)),
        Project("prj-ocr", "Read the water meter from a webcam", ProjectStatus.FAILED, Stage.CODER, 3, 4, 1.0, 1.0, created_by="ben",
                created_at=ago(now, hours=7), updated_at=ago(now, hours=6), finished_at=ago(now, hours=6),
                detail="budget of $1.00 is used up", where=Where.UNSAFE_LOCAL),
        Project("prj-menu", "Plan a week of dinners from what is in the fridge", ProjectStatus.QUEUED, created_by="anna", budget_usd=5.0,
                created_at=ago(now, minutes=1), updated_at=ago(now, minutes=1)),
    )  # fmt: skip


PROMPT = """Make the failing test pass without changing the test.

tests/test_parse.py::test_empty_input FAILED
    assert parse("") == []
E   IndexError: list index out of range
"""
REPLY = """An empty file has no header row, so `rows[0]` raises. I return an empty list before reading the header and keep the
rest as it is. \x1b[31mThis is coloured by the model\x1b[0m and [bold]marked up[/bold].
"""


def steps(now: datetime) -> tuple[Step, ...]:
    run = "prj-invoices"
    rows = (
        (Stage.PM, 0, "model", "wrote docs/prd.md: 3 goals, 6 acceptance tests", StepStatus.DONE, "pm-001", "gemini-flash", "a1b2c3d", 0.021, 33, 41),
        (Stage.ARCHITECT, 0, "model", "wrote docs/design.md with one Mermaid diagram", StepStatus.DONE, "architect-001", "claude-sonnet",
         "b7e0112", 0.214, 31, 96),
        (Stage.CODER, 1, "model", "14 turns: parser, writer, command line, 21 tests", StepStatus.DONE, "coder-001", "claude-sonnet", "c02e4f9",
         0.903, 28, 420),
        (Stage.QA, 1, "test", "pytest: 20 passed, 1 failed (exit 1)", StepStatus.FAILED, "qa-001", "", "d4419aa", 0.0, 14, 6),
        (Stage.QA, 1, "model", "test_empty_input: the header is read before checking for rows", StepStatus.DONE, "qa-001", "gemini-flash", "",
         0.012, 13, 9),
        (Stage.CODER, 2, "model", "round 2: make test_empty_input pass", StepStatus.RUNNING, "coder-001", "claude-sonnet", "", 0.724, 11, 0),
    )  # fmt: skip
    calls: tuple[dict[str, object], ...] = (
        {
            "name": "read",
            "arguments": {"path": "src/invoices/parse.py"},
            "result": "def parse(text):\n    rows = text.splitlines()",
            "ok": True,
        },
        {"name": "run", "arguments": {"command": ["pytest", "-q"]}, "result": "1 failed, 20 passed in 0.41s", "ok": False},
    )
    return tuple(
        Step(f"stp-{n}", run, n, stage, rnd, kind, text, status, agent, model, PROMPT if n == 6 else "Write the next artefact.",
             REPLY if n == 6 else "Done.", calls if n == 6 else (), commit, 4200 * n, 310 * n, cost, ago(now, minutes=minutes),
             None if status is StepStatus.RUNNING else ago(now, minutes=minutes) + timedelta(seconds=took))
        for n, (stage, rnd, kind, text, status, agent, model, commit, cost, minutes, took) in enumerate(rows, 1)
    )  # fmt: skip


def approvals(now: datetime) -> tuple[Approval, ...]:
    no_model = "the Architect continues with claude-sonnet"
    diff = ("/ip firewall filter", "+ add chain=input src-address=203.0.113.0/24 action=drop comment=executor:chg-4", "- *1F action=accept")
    return (
        Approval("apr-opus", ApprovalKind.CRITICAL_MODEL, "use claude-opus for architect-001", "design the parser: ambiguous grammar, 3 locales", no_model,
                 ApprovalStatus.PENDING, "architect-001", "prj-wordlang", "claude-opus", "call-77", 0.42, created_at=ago(now, minutes=3),
                 expires_at=now + timedelta(minutes=4, seconds=40)),
        Approval("apr-fire", ApprovalKind.CHANGE, "block 203.0.113.0/24 on rb5009-home", "47 failed logins from it within an hour",
                 "the addresses stay reachable", ApprovalStatus.PENDING, "network-001", None, "", "chg-4", 0.0, "disruptive", "",
                 {"diff": list(diff)}, ago(now, minutes=1), now + timedelta(minutes=58)),
        Approval("apr-old1", ApprovalKind.CRITICAL_MODEL, "use claude-opus for coder-001", "third failed round", no_model, ApprovalStatus.APPROVED,
                 "coder-001", "prj-dashboard", "claude-opus", "call-12", 0.31, created_at=ago(now, hours=25), decided_at=ago(now, hours=25),
                 decided_by="anna", decided_via="telegram", scope=ApprovalScope.PROJECT, limit_usd=2.0, spent_usd=0.88),
        Approval("apr-old2", ApprovalKind.CHANGE, "delete CT 131 on pve1", "left over from prj-ocr", "it keeps its 8 GB", ApprovalStatus.DENIED,
                 "proxmox-001", None, "", "chg-2", 0.0, "destructive", "131", created_at=ago(now, hours=6), decided_at=ago(now, hours=6),
                 decided_by="ben", decided_via="console ssh 10.0.0.7"),
        Approval("apr-old3", ApprovalKind.CRITICAL_MODEL, "use claude-opus for pm-001", "", no_model, ApprovalStatus.EXPIRED, "pm-001", None,
                 "claude-opus", "", 0.05, created_at=ago(now, hours=9), decided_at=ago(now, hours=8), decided_by="deadline"),
    )  # fmt: skip


def calls(now: datetime) -> list[Call]:
    """Ten a quarter of an hour over the last day, with a lull and a storm of 429."""
    models = (("claude-sonnet", "anthropic"), ("gemini-flash", "google"), ("gpt-4o-mini", "openai"), ("claude-opus", "anthropic"))
    found = []
    for n in range(960):
        minutes = n * 1.5
        if 300 < minutes < 420:
            continue
        model, provider = models[n * 7 % 11 % 4]
        failed = n % 37 == 0 or 600 < minutes < 640
        cost = (0.012, 0.001, 0.0008, 0.09)[[m for m, _ in models].index(model)] * (1 + n % 5)
        found.append(Call(
            f"call-{n}", CallStatus.FAILED if failed else CallStatus.OK, model, model, provider, f"{provider}/default", f"key-{provider}-default",
            agent_id=("coder-001", "coder-002", "architect-001", "pm-001")[n % 4], project_id="prj-invoices", input_tokens=2000 + n * 13 % 5000,
            output_tokens=100 + n * 7 % 900, cost_usd=0.0 if failed else cost, failure="rate_limited" if failed else "",
            started_at=ago(now, minutes=minutes), ended_at=ago(now, minutes=minutes - 0.05), duration_ms=900 + n * 17 % 4000, ttft_ms=300.0,
        ))  # fmt: skip
    return found


LOG = (
    (
        34,
        Level.INFO,
        "project.queued",
        "",
        "prj-invoices",
        "project prj-invoices queued: A command-line tool that turns a folder of invoices into one CSV",
    ),
    (33, Level.INFO, "project.started", "", "prj-invoices", "project prj-invoices started"),
    (33, Level.INFO, "log.line", "pm-001", "prj-invoices", "reading the goal; 3 assumptions written down"),
    (32, Level.INFO, "step.accepted", "pm-001", "prj-invoices", "docs/prd.md accepted and committed as a1b2c3d"),
    (30, Level.INFO, "step.accepted", "architect-001", "prj-invoices", "docs/design.md accepted and committed as b7e0112"),
    (26, Level.WARNING, "agent.state_changed", "network-001", "", "Network Agent is degraded: safe mode is held by another session"),
    (21, Level.INFO, "log.line", "coder-001", "prj-invoices", "run: pytest -q → exit 0 (18 passed)"),
    (14, Level.WARNING, "qa.failed", "qa-001", "prj-invoices", "round 1: 20 passed, 1 failed (exit 1)"),
    (14, Level.DEBUG, "log.line", "qa-001", "prj-invoices", "junit written to docs/qa/round-1.json"),
    (11, Level.INFO, "log.line", "coder-001", "prj-invoices", "round 2: \x1b[1mmake test_empty_input pass\x1b[0m"),
    (8, Level.ERROR, "agent.state_changed", "proxmox-001", "", "Proxmox Agent is offline: pve1:8006 does not answer within 5 s"),
    (3, Level.WARNING, "approval.requested", "architect-001", "prj-wordlang", "use claude-opus for architect-001"),
    (1, Level.INFO, "key.parked", "", "", "openai/default parked for 58s: rate_limited (the provider said so)"),
)


def events(now: datetime) -> list[Event]:
    return [
        Event(kind, text, level, agent, project, at=ago(now, minutes=minutes), data={"to": "degraded" if agent.startswith("net") else "offline"}
              if kind == "agent.state_changed" else {})
        for minutes, level, kind, agent, project, text in LOG
    ]  # fmt: skip


def reports(now: datetime) -> tuple[RecoveryReport, ...]:
    return (
        RecoveryReport("rec-2", "node-home", OutageKind.POWER_LOSS, "certain", ago(now, hours=9, minutes=12), ago(now, hours=9), 720.0,
                       "power was gone for 12m; 2 projects went on by themselves, 1 container was collected",
                       {"coder-001": {"before": "busy", "after": "busy", "reason": "resumed at step 4"},
                        "network-001": {"before": "online", "after": "online", "reason": ""},
                        "proxmox-001": {"before": "online", "after": "offline", "reason": "pve1:8006 does not answer"}},
                       ({"id": "prj-dashboard", "kind": "project", "outcome": "resumed", "detail": "from step 4 of 9"},
                        {"id": "CT 131", "kind": "container", "outcome": "orphaned", "detail": "tagged run-ocr, no project holds it"}),
                       0.031, ("proxmox-001 is still offline: check the host",),
                       tuple({"at": ago(now, hours=9, minutes=m).isoformat(), "what": what} for m, what in (
                           (12, "last heartbeat of node-home"), (0, "the machine is up again"), (-0.1, "2 projects resumed"))),
                       ago(now, hours=9)),
        RecoveryReport("rec-1", "node-home", OutageKind.CRASH, "certain", ago(now, days=3, seconds=8), ago(now, days=3), 8.0,
                       "the node crashed and was back after 8s; nothing was lost", {}, (), 0.0, (), (), ago(now, days=3)),
    )  # fmt: skip


def changes(now: datetime) -> tuple[Change, ...]:
    return (
        Change("chg-4", "rb5009-home", "routeros", "block 203.0.113.0/24", ChangeStatus.WAITING, Risk.DISRUPTIVE,
               ({"op": "firewall.block", "address": "203.0.113.0/24"},), ({"path": "/ip/firewall/filter/add"},),
               ("+ add chain=input src-address=203.0.113.0/24 action=drop",), "9a1c", "network-001", approval_id="apr-fire",
               requested_by="anna", created_at=ago(now, minutes=1), updated_at=ago(now, minutes=1)),
        Change("chg-3", "pve1", "proxmox", "create CT 140 run-invoices (2 cores, 2 GB, 8 GB)", ChangeStatus.DONE, Risk.RESTORABLE,
               ({"op": "lxc.create", "vmid": 140, "hostname": "run-invoices"},), (), ("+ CT 140 run-invoices",), "77ff", "proxmox-001", "prj-invoices",
               "executor", created_at=ago(now, minutes=31), updated_at=ago(now, minutes=30)),
        Change("chg-2", "pve1", "proxmox", "delete CT 131", ChangeStatus.REFUSED, Risk.DESTRUCTIVE, ({"op": "lxc.delete", "vmid": 131},), (), ("- CT 131",),
               "01ab", "proxmox-001", approval_id="apr-old2", requested_by="executor", detail="denied by ben",
               created_at=ago(now, hours=6), updated_at=ago(now, hours=6)),
        Change("chg-1", "rb5009-home", "routeros", "NAT 443 to 192.168.88.10", ChangeStatus.ROLLED_BACK, Risk.DISRUPTIVE,
               ({"op": "nat.forward", "port": 443},), (), ("+ add chain=dstnat dst-port=443",), "5be2", "network-001", requested_by="anna",
               detail="the router did not answer after the change; safe mode rolled it back", created_at=ago(now, hours=30),
               updated_at=ago(now, hours=30)),
    )  # fmt: skip


def receipts(now: datetime) -> tuple[Receipt, ...]:
    create = {"op": "lxc.create", "vmid": 140}
    return (
        Receipt("rcp-1", "chg-1", ChangeStatus.ROLLED_BACK, 1, "rb5009-home", "NAT 443 to 192.168.88.10", before={"rules": 11}, after={"rules": 11},
                consented_by="anna", digest="d1", created_at=ago(now, hours=30)),
        Receipt("rcp-2", "chg-3", ChangeStatus.DONE, 2, "pve1", "create CT 140 run-invoices", operations=(create,), consented_by="policy",
                after={"140": {"hostname": "run-invoices", "node": "pve1", "power": "running", "cores": 2, "memory_mb": 2048, "disk_gb": 8}}, undo=({"op": "lxc.delete", "vmid": 140},), previous_digest="d1", digest="d2",
                created_at=ago(now, minutes=30)),
    )  # fmt: skip


async def seed(store: Store, repo: str = "", commits: Sequence[str] = ()) -> None:
    """Fill a store. With `repo`, prj-invoices has that repository and its accepted steps these commits."""
    now = store.clock.now()
    await store.nodes.put(Node("node-home", "home", 4242, "boot-1", "0.1.0", "http://127.0.0.1:4117", ago(now, hours=9), now))
    await store.leases.take("node-home", 10 * 365 * 86400.0)
    for agent in agents(now):
        await store.agents.put(agent)
    for key, pool in keys(now):
        await store.keys.add(key, pool, None)
    for park in parks(now):
        await store.parks.park(park)
    limits = (("rpm", 15.0, 14), ("rpd", 100.0, 100), ("tpm", 250_000.0, 81_000))
    await store.limits.put([LimitRow("google/default", "gemini-pro", kind, value, source="provider", used=used, resets_at=now + timedelta(hours=11))
                            for kind, value, used in limits])  # fmt: skip
    for project in reversed(projects(now)):
        here = project.id == "prj-invoices" and repo
        await store.projects.create(replace(project, repo_path=repo, head=commits[-1]) if here else project)
    ids = iter(commits)
    for step in steps(now):
        await store.steps.put(replace(step, commit=next(ids)) if commits and step.commit else step)
    await store.questions.ask(Question(
        "qst-1", "prj-backup", "rounds", "4 rounds are used and 1 test still fails (test_resume_after_break). How shall it go on?",
        ("3 more rounds", "stop here and deliver what works"), created_at=ago(now, minutes=21),
    ))  # fmt: skip
    for approval in approvals(now):
        await store.approvals.request(approval)
    await store.calls.begin(calls(now))
    for report in reports(now):
        await store.reports.add(report)
    for change in changes(now):
        await store.changes.put(change)
    for receipt in receipts(now):
        await store.receipts.append(receipt, lambda one, _: one, lambda one: Event("receipt.written", one.summary))
    await store.checkpoints.save(Checkpoint("coder-001", "busy", "round 2", "prj-invoices", "wf-1", 6, ("ct:140", "branch:executor/prj-invoices"),
                                            saved_at=ago(now, minutes=1)))  # fmt: skip
    await store.alerts.raise_(Alert("alr-1", "park:1", Severity.NOTICE, "google/default parked"), ())
    await _only_these_events(store, events(now))


async def _only_these_events(store: Store, wanted: Sequence[Event]) -> None:
    """The writes above told of themselves, all at one moment; a picture wants a believable history instead."""
    async with store.db.write("events") as conn:
        await conn.execute(store.events.table.delete())
    await store.events.add(*wanted)
