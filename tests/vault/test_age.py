"""Secrets at rest, checked with the `age` program others wrote."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyrage import passphrase

from executor_tui.domain.errors import VaultError
from executor_tui.vault.age import IDENTITY_ENV, PASSPHRASE_ENV, AgeVault, create_identity, load_identity
from executor_tui.vault.base import fingerprint
from tests.conftest import CANARY


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(secret=st.text(min_size=1))
async def test_what_is_sealed_is_opened_again(tmp_path: Path, secret: str) -> None:
    vault = AgeVault(tmp_path / "identity.txt")
    sealed = await vault.seal("key-1", secret)
    assert sealed is not None
    assert await vault.open("key-1", sealed) == secret


async def test_the_age_program_opens_what_we_sealed(tmp_path: Path) -> None:
    age = shutil.which("age")
    assert age is not None, "the age program is missing: apt-get install age"
    sealed = await AgeVault(tmp_path / "identity.txt").seal("key-1", CANARY)
    assert sealed is not None and CANARY.encode() not in sealed
    done = subprocess.run([age, "-d", "-i", str(tmp_path / "identity.txt")], input=sealed, capture_output=True, check=True)
    assert done.stdout.decode() == CANARY


async def test_the_identity_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "identity.txt"
    vault = AgeVault(path)
    await vault.seal("a", "x")
    before = path.read_text()
    await AgeVault(path).seal("b", "y")
    assert path.read_text() == before
    assert path.stat().st_mode & 0o777 == 0o600


async def test_an_identity_others_can_read_is_refused_with_the_mend(tmp_path: Path) -> None:
    path = tmp_path / "identity.txt"
    sealed = await AgeVault(path).seal("a", CANARY)
    path.chmod(0o644)
    with pytest.raises(VaultError, match="can be read by others") as caught:
        await AgeVault(path).open("a", sealed)
    assert "chmod 600" in caught.value.hint


async def test_another_identity_opens_nothing_and_says_no_part_of_the_secret(tmp_path: Path) -> None:
    sealed = await AgeVault(tmp_path / "one.txt").seal("a", CANARY)
    create_identity(tmp_path / "two.txt")
    with pytest.raises(VaultError, match="cannot be opened with this identity") as caught:
        await AgeVault(tmp_path / "two.txt").open("a", sealed)
    assert CANARY not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("text", ["", "hello", "AGE-SECRET-KEY-1BROKEN"])
def test_a_damaged_identity_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "identity.txt"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(VaultError, match=r"identity\.txt"):
        load_identity(path)


async def test_the_identity_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity.txt"
    sealed = await AgeVault(path).seal("a", CANARY)
    monkeypatch.setenv(IDENTITY_ENV, path.read_text())
    path.unlink()
    assert await AgeVault(path).open("a", sealed) == CANARY


async def test_the_identity_may_come_from_systemds_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity.txt"
    sealed = await AgeVault(path).seal("a", CANARY)
    path.rename(tmp_path / "executor-identity")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert await AgeVault(path).open("a", sealed) == CANARY


async def test_an_identity_sealed_with_a_passphrase_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity.txt"
    sealed = await AgeVault(path).seal("a", CANARY)
    path.write_bytes(passphrase.encrypt(path.read_bytes(), "correct horse"))
    with pytest.raises(VaultError, match="sealed with a passphrase"):
        await AgeVault(path).open("a", sealed)
    monkeypatch.setenv(PASSPHRASE_ENV, "wrong")
    with pytest.raises(VaultError, match="does not open"):
        await AgeVault(path).open("a", sealed)
    monkeypatch.setenv(PASSPHRASE_ENV, "correct horse")
    assert await AgeVault(path).open("a", sealed) == CANARY


def test_the_same_key_is_recognised_without_being_kept() -> None:
    assert fingerprint("google", CANARY) == fingerprint("google", CANARY) != fingerprint("openai", CANARY)
    assert CANARY not in fingerprint("google", CANARY)
