"""Secrets in OpenBao or HashiCorp Vault, KV version 2, through hvac. The store then holds only references."""

import asyncio
import os

import hvac
import requests
from hvac.exceptions import InvalidPath
from hvac.exceptions import VaultError as HvacError

from executor_tui.domain.errors import VaultError


class OpenBaoVault:
    """`address` like https://127.0.0.1:8200; the token from BAO_TOKEN or VAULT_TOKEN."""

    scheme = "openbao"

    def __init__(self, address: str, mount: str = "secret", prefix: str = "executor") -> None:
        token = os.environ.get("BAO_TOKEN") or os.environ.get("VAULT_TOKEN")
        if not address or not token:
            raise VaultError("the OpenBao vault needs vault.address in executor.json and BAO_TOKEN (or VAULT_TOKEN) in the environment")
        self._client = hvac.Client(url=address, token=token, timeout=10)
        self._mount, self._prefix, self._address = mount, prefix, address

    async def seal(self, secret_ref: str, secret: str) -> bytes | None:
        """Write the secret to the vault server; nothing goes into the store."""
        await self._call(self._client.secrets.kv.v2.create_or_update_secret, secret_ref, secret={"value": secret})
        return None

    async def open(self, secret_ref: str, ciphertext: bytes | None) -> str:
        """Read the secret from the vault server."""
        answer = await self._call(self._client.secrets.kv.v2.read_secret_version, secret_ref, raise_on_deleted_version=True)
        return str(answer["data"]["data"]["value"])

    async def _call(self, method: object, secret_ref: str, **kwargs: object) -> dict[str, dict[str, dict[str, object]]]:
        assert callable(method)
        path = f"{self._prefix}/{secret_ref}"
        try:
            answer = await asyncio.to_thread(method, path=path, mount_point=self._mount, **kwargs)
        except InvalidPath as exc:
            raise VaultError(f"{self._address} has no secret at {self._mount}/{path}") from exc
        except (HvacError, requests.RequestException) as exc:
            hint = "is it unsealed, and the token still valid?"
            raise VaultError(f"{self._address} refused {self._mount}/{path}: {type(exc).__name__}", hint=hint) from exc
        assert isinstance(answer, dict)
        return answer
