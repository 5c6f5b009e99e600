"""Reading configuration: the source document's files as written there, and mistakes in one clear line each."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_tui.config.load import FILES, load, parse, read_json
from executor_tui.config.places import shipped, write_atomically
from executor_tui.domain.errors import ConfigError
from executor_tui.domain.model import Tier
from tests.conftest import CANARY

SOURCE_DOCUMENT = {
    "hydra_keys.json": {
        "keys": [{"provider": "google-ai-pro", "key": "YOUR_API_KEY", "tier": "premium"}],
        "rotation_strategy": "round_robin",
        "fallback": "opencode",
    },
    "notification.json": {
        "telegram": {"enabled": True, "bot_token": "YOUR_BOT_TOKEN", "chat_id": "YOUR_CHAT_ID"},
        "discord": {"enabled": True, "webhook_url": "YOUR_WEBHOOK_URL"},
    },
    "fleet_registry.json": {
        "agents": [{"id": "network-001", "name": "Network Agent", "type": "infrastructure", "status": "online"}],
    },
}


def write(folder: Path, name: str, data: object) -> None:
    (folder / name).write_text(data if isinstance(data, str) else json.dumps(data))


def test_the_three_files_of_the_source_document_load_as_written(tmp_path: Path) -> None:
    for name, data in SOURCE_DOCUMENT.items():
        write(tmp_path, name, data)
    config = load(tmp_path)
    assert config.hydra_keys.keys[0].tier is Tier.PREMIUM
    assert config.models.provider_named("google-ai-pro") == "google"
    assert config.notification.telegram.enabled
    assert config.fleet_registry.agents[0].id == "network-001"


def test_nothing_configured_gives_the_shipped_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.sources == ()
    assert {m.tier for m in config.models.models} == set(Tier)
    assert config.models.fallback_chain == ("claude-opus", "claude-sonnet", "gemini-pro", "opencode")
    assert len(config.roles.roles) == 7


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_shipped_example_is_valid_by_its_own_schema(name: str) -> None:
    data = json.loads((shipped("config") / name.replace(".json", ".example.json")).read_text())
    parse(Path(name), data, FILES[name])
    jsonschema.validate(data, FILES[name].model_json_schema())


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("executor.json", {"node": {"hearbeat_s": 3}}, "node.hearbeat_s: unknown name 'hearbeat_s'; allowed here: heartbeat_s"),
        ("executor.json", {"gateway": {"port": 99999}}, "gateway.port: found 99999"),
        ("executor.json", '{"node": }', "not JSON: line 1, column 10"),
        ("executor.json", "[" * 100_000, "nested too deeply"),
        ("executor.json", [1], "(whole file): found [1]"),
        (
            "hydra_keys.json",
            {"keys": [{"provider": "google", "key": "k", "tier": "premum"}]},
            "'free', 'standard', 'premium' or 'critical'",
        ),
        ("models.json", {"models": [{"id": "m", "tier": "free", "routes": [{"provider": "x", "model_id": "m"}]}]}, "route to provider 'x'"),
        ("models.json", {"providers": {"p": {"kind": "openai"}}}, "needs a base_url"),
        ("models.json", {"fallback_chain": ["nobody"]}, "fallback_chain names models that are not in 'models': nobody"),
        ("notification.json", {"telegram": {"enabled": "perhaps"}}, "telegram.enabled: found 'perhaps'"),
    ],
)
def test_a_mistake_names_the_file_the_place_and_what_is_allowed(tmp_path: Path, name: str, data: object, said: str) -> None:
    write(tmp_path, name, data)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert str(tmp_path / name) in caught.value.message
    assert said in caught.value.message


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "executor.json", {"gateway": {"port": -1, "hots": 1}})
    write(tmp_path, "notification.json", "{")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert len(caught.value.message.splitlines()) == 3


@pytest.mark.parametrize("wrong", [{"nested": CANARY}, [CANARY]])
def test_a_wrong_secret_is_never_repeated(tmp_path: Path, wrong: object) -> None:
    write(tmp_path, "hydra_keys.json", {"keys": [{"provider": "google", "key": wrong, "tier": "free"}]})
    write(tmp_path, "notification.json", {"telegram": {"bot_token": wrong}, "discord": {"webhook_url": wrong}})
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert CANARY not in caught.value.message


def test_a_loaded_key_is_not_in_any_repr(tmp_path: Path) -> None:
    write(tmp_path, "hydra_keys.json", {"keys": [{"provider": "google", "key": CANARY, "tier": "free"}]})
    assert CANARY not in repr(load(tmp_path))


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=8)
)
def test_no_json_at_all_makes_the_loader_fail_otherwise(data: object) -> None:
    for cls in FILES.values():
        try:
            parse(Path("x.json"), data, cls)
        except ConfigError as exc:
            assert exc.message.startswith("x.json: ")


@pytest.mark.parametrize("environment", [{"1A": "x"}, {"A=B": "x"}, {"A": "x\0y"}, {"A": 1}, {"": "x"}])
def test_a_variable_that_no_program_could_be_given_is_named(tmp_path: Path, environment: dict[str, object]) -> None:
    write(tmp_path, "executor.json", {"sandbox": {"environment": environment}})
    with pytest.raises(ConfigError, match=r"executor\.json: sandbox\.environment"):
        load(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "executor.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_json(tmp_path / "executor.json")


def test_an_atomic_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "hydra_keys.json"
    write_atomically(target, "one")
    write_atomically(target, "two")
    assert target.read_text() == "two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]
