"""config/executor.json: how this Executor runs."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from executor_tui.config.base import Settings
from executor_tui.domain.change import Risk

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
EnvironmentValue = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4096)]


class NodeSettings(Settings):
    heartbeat_s: float = Field(default=2.0, gt=0, le=60)
    """How often a node says that it lives, and renews its lease."""
    lease_s: float = Field(default=10.0, gt=0, le=600)
    """How long leadership lasts without being renewed; another node takes over after that."""
    ping_every_s: float = Field(default=15.0, gt=0)
    """How often every agent of the registry is pinged."""
    ping_deadline_s: float = Field(default=5.0, gt=0)
    """An agent that has not answered by then is offline."""


class GatewaySettings(Settings):
    host: str = "127.0.0.1"
    """Loopback unless you put something with TLS and authentication in front."""
    port: int = Field(default=4117, ge=0, le=65535)
    """0 takes any free port; the console and `executor gateway` show which."""
    request_deadline_s: float = Field(default=600.0, gt=0)
    """Wall-clock budget of one request, every attempt and fallback included."""
    first_token_s: float = Field(default=60.0, gt=0)
    """A silent upstream is given up after this long: how long a stream may take to begin. An answer that is not streamed may take four
    times as long, because providers send nothing of it until all of it is there."""
    stall_s: float = Field(default=60.0, gt=0)
    """A stream that says nothing for this long has failed."""
    approval_wait_s: float = Field(default=300.0, ge=0)
    """How long a call waits for the approval of a CRITICAL model before it continues down the chain."""


class SandboxSettings(Settings):
    time_s: float = Field(default=120.0, gt=0)
    memory_mb: int = Field(default=2048, ge=64)
    processes: int = Field(default=256, ge=8)
    output_kb: int = Field(default=1024, ge=16)
    environment: dict[EnvironmentName, EnvironmentValue] = Field(default_factory=dict, max_length=64)
    """Variables for every command of a project, on top of the plain ones. No place for secrets: generated code reads them."""
    unsafe_local: bool = False
    """Run generated code on this host without a sandbox. Shown in the console for as long as it is on."""


class ProjectSettings(Settings):
    max_rounds: int = Field(default=4, ge=1, le=50)
    """Coder ⇄ QA rounds before you are asked."""
    budget_usd: float | None = Field(default=5.0, ge=0)
    """Spend limit of a project that was given none; null for no limit."""
    parallel: int = Field(default=2, ge=1, le=64)
    """How many projects one node works on at once."""
    coder_turns: int = Field(default=40, ge=1, le=500)
    """Model turns of the Coder in one round."""
    where: Literal["local", "lxc"] = "local"
    search_budget_usd: float = Field(default=0.25, ge=0)
    """What the PM and the Architect of one project may spend on deep searches; 0 takes the tool away."""


class Budgets(Settings):
    """Limits in USD and in requests; null means none. Days begin at midnight UTC."""

    day_usd: float | None = Field(default=None, ge=0)
    agent_day_usd: float | None = Field(default=None, ge=0)
    key_day_usd: float | None = Field(default=None, ge=0)
    project_usd: float | None = Field(default=None, ge=0)
    """For a project that was given no budget of its own."""
    day_requests: int | None = Field(default=None, ge=0)
    agent_day_requests: int | None = Field(default=None, ge=0)
    key_day_requests: int | None = Field(default=None, ge=0)
    project_requests: int | None = Field(default=None, ge=0)


class QuietHours(Settings):
    start: str = Field(default="22:00", pattern=r"^\d\d:\d\d$")
    end: str = Field(default="07:00", pattern=r"^\d\d:\d\d$")
    timezone: str = "UTC"


class ApprovalPolicy(Settings):
    """Which risks of a change wait for a person. Destructive always does."""

    auto_approve: tuple[Risk, ...] = (Risk.READ,)
    """Risk tiers applied without asking."""
    freeze: bool = False
    """Stops every write to every device at once."""
    quiet_hours: QuietHours | None = None
    """Between these hours nothing but reads is applied; approvals wait."""
    expire_minutes: float = Field(default=60.0, gt=0)
    """Silence for this long is a no."""


class OperatorRule(Settings):
    view_only: bool = False
    """This operator's console has no key that changes anything."""


class UiSettings(Settings):
    theme: str = "executor-dark"
    mouse: bool = True
    bell: bool = True
    spacing: Literal["standard", "compact"] = "standard"
    operators: dict[str, OperatorRule] = Field(default_factory=dict)
    """By login name."""


class BackupSettings(Settings):
    every_hours: float = Field(default=6.0, gt=0)
    keep: int = Field(default=14, ge=1)


class RecoverySettings(Settings):
    quarantine_after: int = Field(default=3, ge=0)
    """Work that stood at the same place in this many crashes running is set aside; 0 for never."""


class EscalationSettings(Settings):
    """When Executor says of itself that something needs you."""

    every_s: float = Field(default=15.0, gt=0)
    """How often it looks."""
    stuck_minutes: float = Field(default=15.0, gt=0)
    """A busy agent without progress for this long is stuck."""
    loop_repeats: int = Field(default=5, ge=2)
    """The same tool call this many times in a row is a loop."""
    pool_dry_minutes: float = Field(default=60.0, gt=0)
    """A quota that lasts no longer than this at today's pace, and not until its reset, is running dry."""
    disk_free_percent: float = Field(default=5.0, ge=0, le=100)
    disk_free_gb: float = Field(default=1.0, ge=0)
    """The disk is filling when less than either is left."""
    clock_jump_s: float = Field(default=30.0, gt=0)
    """The machine's clock moving by more than this against itself is wrong."""


class VaultSettings(Settings):
    backend: Literal["age", "openbao"] = "age"
    address: str = ""
    """OpenBao/Vault address, e.g. https://127.0.0.1:8200; the token comes from VAULT_TOKEN or BAO_TOKEN."""
    mount: str = "secret"
    prefix: str = "executor"


class ContainerSettings(Settings):
    """Defaults of containers made for projects and by `executor lxc`."""

    device: str = ""
    template: str = ""
    storage: str = ""
    bridge: str = "vmbr0"
    address_range: str = ""
    """CIDR or first-last from which static addresses are given; empty for DHCP."""
    gateway: str = ""
    cores: int = Field(default=2, ge=1)
    memory_mb: int = Field(default=2048, ge=64)
    disk_gb: int = Field(default=8, ge=1)
    ssh_port: int = Field(default=22, ge=1, le=65535)
    """Where the template's SSH server listens."""
    directory: str = Field(default="/srv/project", pattern=r"^/[A-Za-z0-9._/-]+$")
    """Where a project's tree lies in its container."""
    keep: Literal["destroy", "stop", "keep"] = "destroy"
    """What becomes of a project's container when the project is over."""
    parallel: int = Field(default=4, ge=1, le=64)
    """How many containers of one change are worked on at once."""


class ExecutorSettings(Settings):
    """Everything in executor.json; each part has defaults, an empty file is fine."""

    database_url: str = ""
    """Empty: SQLite in the state directory. `postgresql://…` makes several machines one Executor. EXECUTOR_DATABASE_URL wins over this."""
    node: NodeSettings = NodeSettings()
    gateway: GatewaySettings = GatewaySettings()
    sandbox: SandboxSettings = SandboxSettings()
    projects: ProjectSettings = ProjectSettings()
    budgets: Budgets = Budgets()
    approvals: ApprovalPolicy = ApprovalPolicy()
    ui: UiSettings = UiSettings()
    backups: BackupSettings = BackupSettings()
    recovery: RecoverySettings = RecoverySettings()
    escalations: EscalationSettings = EscalationSettings()
    vault: VaultSettings = VaultSettings()
    containers: ContainerSettings = ContainerSettings()
