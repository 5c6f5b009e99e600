"""Every table. Columns are named after the fields of the domain dataclasses, so a row and its dataclass map by name."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

from executor_tui.store.types import Usd, UtcTime

metadata = MetaData()


def _id() -> Column[str]:
    return Column("id", Text, primary_key=True)


def _text(name: str, **kw: object) -> Column[str]:
    return Column(name, Text, nullable=bool(kw.get("nullable", False)), server_default=None if kw.get("nullable") else "")


def _int(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _usd(name: str, nullable: bool = False) -> Column[float]:
    return Column(name, Usd, nullable=nullable, server_default=None if nullable else "0")


def _time(name: str) -> Column[object]:
    return Column(name, UtcTime, nullable=True)


def _json(name: str) -> Column[object]:
    return Column(name, JSON, nullable=False)


agents = Table(
    "agents", metadata, _id(), _text("name"), _text("type"), _text("role"), _text("state"), _text("reason"), _text("task"),
    _text("project_id", nullable=True), _text("model"), _usd("cost_usd"), Column("paused", Boolean, nullable=False),
    _text("device"), Column("latency_ms", Float, nullable=True), _time("state_since"), _time("last_seen_at"), _time("progress_at"),
)  # fmt: skip

quota_pools = Table("quota_pools", metadata, _id(), _text("provider"), _text("account"))

keys = Table(
    "keys", metadata, _id(), _text("provider"), _text("pool_id"), _text("tier"), _text("secret_ref"),
    Column("fingerprint", Text, nullable=False, unique=True), _text("tail"), _text("label"), _text("state"), _text("state_reason"),
    _time("created_at"), _time("verified_at"), _time("last_used_at"), _int("calls"), _int("failures"), _usd("cost_usd"),
)  # fmt: skip

secrets = Table(
    "secrets", metadata, _id(), Column("ciphertext", LargeBinary, nullable=False), _text("scheme"), _time("created_at"),
)  # fmt: skip

parks = Table(
    "parks", metadata, _id(), _text("scope"), _text("pool_id"), _text("model_id"), _text("key_id"), _text("reason"), _text("source"),
    _time("started_at"), _time("ends_at"), _text("detail"), _time("cleared_at"), _text("cleared_by"),
)  # fmt: skip
Index("ix_parks_open", parks.c.cleared_at, parks.c.ends_at)

limits = Table(
    "limits", metadata, Column("pool_id", Text, primary_key=True), Column("model_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True), Column("value", Float, nullable=False), Column("remaining", Float, nullable=True),
    _time("resets_at"), _text("source"), _time("learned_at"), _int("used"), _time("window_started_at"),
)  # fmt: skip

calls = Table(
    "calls", metadata, _id(), _text("status"), _text("requested_model"), _text("model_id"), _text("provider"), _text("pool_id"),
    _text("key_id"), _text("token_id"), _text("agent_id"), _text("project_id"), _int("input_tokens"), _int("output_tokens"),
    _int("cached_tokens"), _usd("estimate_usd"), _usd("cost_usd"), _text("failure"), _json("trail"), _time("started_at"),
    _time("ended_at"), Column("ttft_ms", Float, nullable=True), Column("duration_ms", Float, nullable=True), _text("node_id"),
    _text("approval_id"),
)  # fmt: skip
Index("ix_calls_started", calls.c.started_at)
Index("ix_calls_project", calls.c.project_id)
Index("ix_calls_key", calls.c.key_id, calls.c.started_at)
Index("ix_calls_status", calls.c.status)

virtual_keys = Table(
    "virtual_keys", metadata, _id(), _text("name"), Column("digest", Text, nullable=False, unique=True), _text("agent_id"),
    _text("project_id"), _usd("budget_usd", nullable=True), Column("max_requests", BigInteger, nullable=True), _usd("spent_usd"),
    _int("requests"), _time("created_at"), _time("revoked_at"), _time("last_used_at"),
)  # fmt: skip

approvals = Table(
    "approvals", metadata, _id(), _text("kind"), _text("subject"), _text("why"), _text("if_denied"), _text("status"), _text("agent_id"),
    _text("project_id", nullable=True), _text("model_id"), _text("subject_id"), _usd("estimate_usd"), _text("risk"),
    _text("confirm_word"), _json("details"), _time("created_at"), _time("expires_at"), _text("scope"), _usd("limit_usd", nullable=True),
    _usd("spent_usd"), _time("valid_until"), _time("decided_at"), _text("decided_by"), _text("decided_via"),
)  # fmt: skip
Index("ix_approvals_status", approvals.c.status)

projects = Table(
    "projects", metadata, _id(), _text("goal"), _text("status"), _text("stage"), _int("round"), _int("max_rounds"),
    _usd("budget_usd", nullable=True), _usd("cost_usd"), _text("where"), _text("source_repo"), _text("repo_path"), _text("branch"),
    _text("head"), _text("workflow_id"), _text("node_id"), _text("detail"), _text("forked_from"), _text("created_by"),
    _time("created_at"), _time("updated_at"), _time("finished_at"), _time("wake_at"),
)  # fmt: skip

steps = Table(
    "steps", metadata, _id(), _text("project_id"), _int("seq"), _text("stage"), _int("round"), _text("kind"), _text("summary"),
    _text("status"), _text("agent_id"), _text("model"), _text("prompt"), _text("reply"), _json("tool_calls"), _text("commit"),
    _int("input_tokens"), _int("output_tokens"), _usd("cost_usd"), _time("started_at"), _time("ended_at"),
)  # fmt: skip
Index("ix_steps_project", steps.c.project_id, steps.c.seq, unique=True)

questions = Table(
    "questions", metadata, _id(), _text("project_id", nullable=True), _text("kind"), _text("text"), _json("options"), _text("answer"),
    _time("created_at"), _time("answered_at"), _text("answered_by"), _json("details"),
)  # fmt: skip

events = Table(
    "events", metadata, Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _text("kind"), _text("message"), _text("level"), _text("agent_id"), _text("project_id"), _text("subject_id"), _json("data"),
    _time("at"),
)  # fmt: skip
Index("ix_events_at", events.c.at)
Index("ix_events_project", events.c.project_id, events.c.seq)
Index("ix_events_agent", events.c.agent_id, events.c.seq)

checkpoints = Table(
    "checkpoints", metadata, Column("agent_id", Text, primary_key=True), _text("state"), _text("task"), _text("project_id"),
    _text("workflow_id"), _int("step"), _json("holds"), _json("data"), _time("saved_at"),
)  # fmt: skip

recovery_reports = Table(
    "recovery_reports", metadata, _id(), _text("node_id"), _text("kind"), _text("sure"), _time("down_from"), _time("up_at"),
    Column("downtime_s", Float, nullable=False), _text("summary"), _json("agents"), _json("work"), _usd("in_flight_usd"), _json("todo"),
    _json("timeline"), _time("created_at"),
)  # fmt: skip

nodes = Table(
    "nodes", metadata, _id(), _text("host"), _int("pid"), _text("boot_id"), _text("version"), _text("gateway_url"), _time("started_at"),
    _time("heartbeat_at"), _time("stopped_at"), _text("unwell"),
)  # fmt: skip

leases = Table(
    "leases", metadata, Column("name", Text, primary_key=True), _text("holder"), _int("fencing"), _time("expires_at"),
)  # fmt: skip

operators = Table(
    "operators", metadata, _id(), _text("name"), _text("origin"), _text("screen"), Column("view_only", Boolean, nullable=False),
    _text("looking_at"), _time("attached_at"), _time("seen_at"),
)  # fmt: skip

alerts = Table(
    "alerts", metadata, _id(), Column("dedupe_key", Text, nullable=False, unique=True), _text("severity"), _text("title"), _text("body"),
    _text("group"), _text("subject_id"), _json("data"), _time("created_at"),
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata, _id(), _text("alert_id"), _text("channel"), _text("status"), _int("attempts"), _time("next_at"),
    _time("sent_at"), _text("remote_id"), _text("error"), _int("seq"), _time("settled_at"),
)  # fmt: skip
Index("ix_deliveries_pending", deliveries.c.status, deliveries.c.next_at)

changes = Table(
    "changes", metadata, _id(), _text("device"), _text("kind"), _text("summary"), _text("status"), _text("risk"), _json("operations"),
    _json("plan"), _json("diff"), _text("plan_hash"), _text("agent_id"), _text("project_id"), _text("requested_by"), _text("approval_id"),
    _text("workflow_id"), _text("detail"), _json("targets"), _json("journal"), _time("created_at"), _time("updated_at"),
)  # fmt: skip
Index("ix_changes_status", changes.c.status)

receipts = Table(
    "receipts", metadata, _id(), _text("change_id"), _text("outcome"), Column("seq", BigInteger, nullable=False, unique=True),
    _text("device"), _text("summary"), _text("detail"), _json("operations"), _json("before"), _json("after"), _text("consented_by"),
    _json("undo"), _text("previous_digest"), _text("digest"), _time("created_at"),
)  # fmt: skip

histories = Table(
    "histories", metadata, Column("project_id", Text, primary_key=True), Column("seq", BigInteger, primary_key=True), _text("sha"),
    _text("branch"), Column("data", LargeBinary, nullable=False), _time("created_at"),
)  # fmt: skip
"""The commits of projects' repositories as git bundles, for Executors of several machines."""

notes = Table("notes", metadata, Column("name", Text, primary_key=True), _json("value"), _time("updated_at"))
"""Small named values that belong to no aggregate: requests to the node, watermarks, the last intake of a file."""

revisions = Table("revisions", metadata, Column("topic", Text, primary_key=True), _int("rev"))
"""One counter per topic, bumped inside each writing transaction: what the change feed compares."""
