"""Bot token and webhook go into the vault and out of the file."""

import json

import pytest

from executor_tui.config.files import NotificationSettings
from executor_tui.config.load import load
from executor_tui.config.places import Places
from executor_tui.domain.errors import VaultError
from executor_tui.notify.intake import reveal, take_in
from executor_tui.store.store import Store
from executor_tui.vault.age import AgeVault

TOKEN, WEBHOOK = "5550100:canary-bot-token-zXq7", "https://discord.example/api/webhooks/1/canary-webhook-Qp3"


@pytest.fixture
def vault(places: Places) -> AgeVault:
    return AgeVault(places.identity_file)


def write(places: Places, text: str) -> None:
    (places.config_dir / "notification.json").write_text(text)


def as_given(token: str = TOKEN, webhook: str = WEBHOOK) -> str:
    """As the source document writes it, with the user's own spacing."""
    return (
        '{\n   "telegram": {"enabled": true, "bot_token": ' + json.dumps(token) + ', "chat_id": "7"},\n'
        '   "discord": {"enabled": true, "webhook_url": ' + json.dumps(webhook) + "}\n}\n"
    )


async def test_secrets_in_the_clear_are_sealed_and_replaced_by_references(places: Places, store: Store, vault: AgeVault) -> None:
    write(places, as_given())
    taken = await take_in(places.config_dir, store, vault)
    assert taken.names == ("telegram.bot_token", "discord.webhook_url")
    text = (places.config_dir / "notification.json").read_text()
    assert text == as_given("vault:telegram-bot-token", "vault:discord-webhook")
    settings = load(places.config_dir).notification
    assert await reveal(settings.telegram.bot_token.get_secret_value(), store, vault) == TOKEN
    assert await reveal(settings.discord.webhook_url.get_secret_value(), store, vault) == WEBHOOK


async def test_they_are_found_nowhere_in_the_state_or_configuration_afterwards(places: Places, store: Store, vault: AgeVault) -> None:
    write(places, as_given())
    await take_in(places.config_dir, store, vault)
    await store.close()
    for path in (p for folder in (places.config_dir, places.state_dir) for p in folder.rglob("*") if p.is_file()):
        assert b"canary" not in path.read_bytes(), path


async def test_a_second_intake_changes_nothing_and_a_new_token_replaces_the_old_one(places: Places, store: Store, vault: AgeVault) -> None:
    write(places, as_given())
    await take_in(places.config_dir, store, vault)
    assert (await take_in(places.config_dir, store, vault)).names == ()
    write(places, as_given("5550100:rotated", "vault:discord-webhook"))
    assert (await take_in(places.config_dir, store, vault)).names == ("telegram.bot_token",)
    assert await reveal("vault:telegram-bot-token", store, vault) == "5550100:rotated"
    assert await reveal("vault:discord-webhook", store, vault) == WEBHOOK


@pytest.mark.parametrize("text", ["{}", '{"telegram": {"bot_token": "YOUR_BOT_TOKEN"}}', '{"discord": {"webhook_url": ""}}', ""])
async def test_examples_and_empty_files_are_left_alone(places: Places, store: Store, vault: AgeVault, text: str) -> None:
    write(places, text)
    assert (await take_in(places.config_dir, store, vault)).names == ()
    assert (places.config_dir / "notification.json").read_text() == text and not places.identity_file.exists()


async def test_a_secret_spelled_with_escapes_is_replaced_too(places: Places, store: Store, vault: AgeVault) -> None:
    write(places, '{"telegram": {"bot_token": "5550100:can\\u0061ry", "chat_id": "7"}}')
    await take_in(places.config_dir, store, vault)
    data = json.loads((places.config_dir / "notification.json").read_text())
    assert data == {"telegram": {"bot_token": "vault:telegram-bot-token", "chat_id": "7"}}
    assert await reveal("vault:telegram-bot-token", store, vault) == "5550100:canary"


async def test_a_reference_to_nothing_is_an_error_without_a_secret_in_it(store: Store, vault: AgeVault) -> None:
    with pytest.raises(VaultError, match="telegram-bot-token"):
        await reveal("vault:telegram-bot-token", store, vault)


def test_settings_never_show_a_secret() -> None:
    settings = NotificationSettings.model_validate(json.loads(as_given()))
    assert "canary" not in repr(settings) and "canary" not in settings.model_dump_json()
