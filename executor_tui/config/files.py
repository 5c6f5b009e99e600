"""The other files: hydra_keys.json, notification.json, fleet_registry.json and roles.json."""

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr

from executor_tui.config.base import Settings
from executor_tui.domain.agent import AgentState, AgentType, Role
from executor_tui.domain.alert import Severity
from executor_tui.domain.model import Complexity, Tier

PLACEHOLDERS = frozenset({"YOUR_API_KEY", "YOUR_BOT_TOKEN", "YOUR_CHAT_ID", "YOUR_WEBHOOK_URL", ""})
"""Values of the examples; treated as not filled in."""


class KeyEntry(Settings):
    provider: str
    key: SecretStr
    """The key itself (taken into the vault and replaced here on first load) or `vault:<reference>`."""
    tier: Tier = Tier.STANDARD
    account: str = "default"
    """The account, project or organisation its quota belongs to."""
    label: str = ""


class HydraKeys(Settings):
    keys: tuple[KeyEntry, ...] = ()
    rotation_strategy: Literal["round_robin", "random", "least_loaded"] = "round_robin"
    fallback: str = "opencode"
    """The provider of last resort."""


class TelegramSettings(Settings):
    enabled: bool = False
    bot_token: SecretStr = SecretStr("")
    chat_id: str = ""
    users: tuple[int, ...] = ()
    """Telegram user ids that may answer; empty: whoever writes in a private chat whose id is `chat_id`."""
    mirror_only: bool = False
    """Send alerts, take no answers."""
    base_url: str = "https://api.telegram.org/bot"


class DiscordSettings(Settings):
    enabled: bool = False
    webhook_url: SecretStr = SecretStr("")


class NotifyQuiet(Settings):
    start: str = Field(default="22:00", pattern=r"^\d\d:\d\d$")
    end: str = Field(default="07:00", pattern=r"^\d\d:\d\d$")
    timezone: str = "UTC"
    let_through: Severity = Severity.CRITICAL
    """This severity and above is sent all the same."""


class NotificationSettings(Settings):
    telegram: TelegramSettings = TelegramSettings()
    discord: DiscordSettings = DiscordSettings()
    routes: dict[Literal["telegram", "discord"], Severity] = Field(default_factory=dict)
    """Lowest severity each channel gets; everything when not given."""
    quiet_hours: NotifyQuiet | None = None
    coalesce_s: float = Field(default=5.0, ge=0)
    """Alerts of one kind within this time become one message."""


class DeviceSettings(Settings):
    """How an infrastructure agent reaches its device. The password is `vault:<reference>` or taken into the vault on first load."""

    kind: Literal["routeros", "proxmox"]
    host: str
    port: int | None = Field(default=None, ge=1, le=65535)
    user: str = ""
    password: SecretStr = SecretStr("")
    token_name: str = ""
    token_value: SecretStr = SecretStr("")
    tls: bool = True
    fingerprint: str = ""
    """SHA-256 of the device's certificate, hex with or without colons; pinned when given."""


class AgentEntry(Settings):
    id: str = Field(min_length=1)
    name: str
    type: AgentType = AgentType.INFRASTRUCTURE
    role: Role | None = None
    """When not given it is read from the id or name (`network-001` → network)."""
    status: AgentState = AgentState.ONLINE
    """What the registry last said; the console shows what a ping says."""
    device: DeviceSettings | None = None
    model: str = ""


class FleetRegistry(Settings):
    agents: tuple[AgentEntry, ...] = ()


class RoleSettings(Settings):
    skills: tuple[str, ...] = ()
    """In order of weight: the first `bodies` go into the prompt whole, the others as a catalogue."""
    complexity: Complexity = Complexity.MODERATE
    model: str = ""
    """A registry id or `executor/<tier>`; empty: by complexity."""
    rules: tuple[str, ...] = ()
    """Lines added to the role's prompt."""
    bodies: int = Field(default=3, ge=0, le=10)
    skill_tokens: int = Field(default=6000, ge=0)


class RolesSettings(Settings):
    roles: dict[Role, RoleSettings] = Field(default_factory=dict)
    aliases: dict[str, str] = Field(default_factory=dict, validation_alias=AliasChoices("aliases", "skill_aliases"))
    """Old skill name → name of its folder."""
