"""Secrets as age ciphertext (age-encryption.org/v1): any `age` program with the identity opens them.

The identity comes, in this order, from EXECUTOR_AGE_IDENTITY, from systemd's credentials directory (`executor-identity`), or from a
file that only its owner can read; a file sealed with a passphrase is opened with EXECUTOR_AGE_PASSPHRASE.
"""

import os
from pathlib import Path

from pyrage import DecryptError, IdentityError, decrypt, encrypt, passphrase, x25519

from executor_tui.domain.errors import VaultError

IDENTITY_ENV, PASSPHRASE_ENV, CREDENTIAL = "EXECUTOR_AGE_IDENTITY", "EXECUTOR_AGE_PASSPHRASE", "executor-identity"
_AGE_MAGIC = b"age-encryption.org/v1"


class AgeVault:
    """Seals with the recipient; opens with the identity, which is read only when something is opened."""

    scheme = "age"

    def __init__(self, identity_file: Path) -> None:
        self._file = identity_file
        self._recipient: x25519.Recipient | None = None
        self._identity: x25519.Identity | None = None

    async def seal(self, secret_ref: str, secret: str) -> bytes | None:
        """Ciphertext for the store. Makes the identity on first use."""
        if self._recipient is None:
            self._recipient = _load_recipient(self._file)
        return bytes(encrypt(secret.encode(), [self._recipient]))

    async def open(self, secret_ref: str, ciphertext: bytes | None) -> str:
        """The secret. Raises VaultError naming the reference, never the content."""
        if ciphertext is None:
            raise VaultError(f"secret {secret_ref} is not in the store", hint="enter the key again: executor keys add PROVIDER")
        if self._identity is None:
            self._identity = load_identity(self._file)
        try:
            return str(decrypt(ciphertext, [self._identity]).decode())
        except (DecryptError, UnicodeDecodeError) as exc:
            hint = f"was {self._file} replaced? put the old identity back, or enter the key again"
            raise VaultError(f"secret {secret_ref} cannot be opened with this identity", hint=hint) from exc


def load_identity(path: Path) -> x25519.Identity:
    """The identity, from the environment, systemd or the file. Raises VaultError; refuses a file others can read."""
    text = os.environ.get(IDENTITY_ENV) or _from_systemd()
    if text is None:
        check_permissions(path)
        text = _unlocked(path.read_bytes(), path)
    line = next((ln.strip() for ln in text.splitlines() if ln.strip().startswith("AGE-SECRET-KEY-")), None)
    if line is None:
        raise VaultError(
            f"no age identity in {path}",
            hint="restore it from your backup; without it the stored keys cannot be opened",
        )
    try:
        return x25519.Identity.from_str(line)
    except IdentityError as exc:
        raise VaultError(f"the age identity in {path} is damaged", hint="restore it from your backup") from exc


def check_permissions(path: Path) -> None:
    """Raises VaultError when the identity file is missing or anyone but its owner may read it."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as exc:
        raise VaultError(f"no identity file at {path}", hint="it is made when the first key is added: executor keys add PROVIDER") from exc
    if mode & 0o077:
        raise VaultError(f"{path} can be read by others (mode {mode:03o})", hint=f"chmod 600 {path}")


def create_identity(path: Path) -> x25519.Identity:
    """A new identity in a file that only its owner can read; refuses to replace one."""
    identity = x25519.Identity.generate()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = f"# public key: {identity.to_public()}\n{identity}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(lines)
        handle.flush()
        os.fsync(handle.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return identity


def _load_recipient(path: Path) -> x25519.Recipient:
    if os.environ.get(IDENTITY_ENV) or _from_systemd() is not None:
        return load_identity(path).to_public()
    try:
        return create_identity(path).to_public()
    except FileExistsError:
        return load_identity(path).to_public()


def _from_systemd() -> str | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    path = Path(folder) / CREDENTIAL
    return path.read_text(encoding="ascii") if path.is_file() else None


def _unlocked(data: bytes, path: Path) -> str:
    if not data.startswith(_AGE_MAGIC):
        return data.decode(errors="replace")
    word = os.environ.get(PASSPHRASE_ENV)
    if not word:
        raise VaultError(f"{path} is sealed with a passphrase", hint=f"set {PASSPHRASE_ENV}")
    try:
        return str(passphrase.decrypt(data, word).decode())
    except (DecryptError, UnicodeDecodeError) as exc:
        raise VaultError(f"the passphrase does not open {path}", hint=f"check {PASSPHRASE_ENV}") from exc
