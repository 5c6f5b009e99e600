"""Which vault this installation uses."""

from typing import TYPE_CHECKING

from executor_tui.config.general import VaultSettings
from executor_tui.config.places import Places
from executor_tui.vault.age import AgeVault

if TYPE_CHECKING:
    from executor_tui.vault.openbao import OpenBaoVault


def open_vault(settings: VaultSettings, places: Places) -> "AgeVault | OpenBaoVault":
    """The configured vault. Raises VaultError when it cannot be used at all."""
    if settings.backend == "openbao":
        from executor_tui.vault.openbao import OpenBaoVault  # its client is slow to load, and most have no use for it

        return OpenBaoVault(settings.address, settings.mount, settings.prefix)
    return AgeVault(places.identity_file)
