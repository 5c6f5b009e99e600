"""The systemd unit of a node, as text. Pure; the paths come in."""

from dataclasses import dataclass
from pathlib import Path

NAME = "executor.service"
WATCHDOG_S = 60


@dataclass(frozen=True, slots=True)
class Unit:
    """`credential` is a file with the age identity, handed over by systemd instead of read from the state directory."""

    program: tuple[str, ...]
    config_dir: Path
    state_dir: Path
    credential: Path | None = None
    user: str = ""

    def text(self) -> str:
        """The unit file: of the user manager, or of the system manager where `user` is given."""
        command = " ".join(
            quoted(part) for part in (*self.program, "--config", str(self.config_dir), "--state", str(self.state_dir), "--no-ui")
        )
        target = "multi-user.target" if self.user else "default.target"
        service = [
            "Type=notify", "NotifyAccess=main", f"ExecStart={command}", f"WatchdogSec={WATCHDOG_S}", "Restart=always", "RestartSec=2",
            "KillMode=mixed", "TimeoutStopSec=90", "NoNewPrivileges=yes", "UMask=0077",
        ]  # fmt: skip
        if self.user:
            service.append(f"User={self.user}")
        if self.credential is not None:
            how = "LoadCredentialEncrypted" if self.credential.suffix == ".cred" else "LoadCredential"
            service.append(f"{how}=executor-identity:{self.credential}")
        # The user manager knows no network-online.target; without a network everything waits and retries anyway.
        network = ["After=network-online.target", "Wants=network-online.target"] if self.user else []
        return "\n".join([
            "# Written by: executor service install", "[Unit]", "Description=Executor: general manager of a fleet of AI agents",
            *network, "StartLimitIntervalSec=0", "", "[Service]", *service, "", "[Install]", f"WantedBy={target}", "",
        ])  # fmt: skip


def quoted(part: str) -> str:
    """One word of ExecStart= (systemd.service(5), "Command lines"): quotes, specifiers and variables mean nothing in it."""
    escaped = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in part for c in " \t\"'\\;") or not part else escaped
