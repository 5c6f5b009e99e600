"""The first five minutes, all from the console: welcome, keys, a first project. A key that was pasted is seen nowhere."""

from pathlib import Path

from desk import Desk

from executor_tui.config.places import Places
from executor_tui.domain.key import KeyState

SECRET = "sk-ant-api03-" + "Zq8" * 30


def files_with(folder: Path, text: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


async def test_from_nothing_to_a_first_project(bare_desk: Desk, places: Places) -> None:
    desk = bare_desk
    desk.clock.pass_s(5)
    await desk.see("Welcome to Executor")
    await desk.press("enter")
    await desk.see("Enter API keys")
    await desk.paste(f"{SECRET}\n{SECRET}\nno such thing\n")
    await desk.see("anthropic/default")
    assert "given twice" in desk.front() and SECRET[:20] not in desk.front()
    await desk.press("ctrl+d")
    await desk.see("1 key sealed")
    key = (await desk.store.keys.list())[0]
    assert key.state is KeyState.UNVERIFIED and key.tail == SECRET[-4:]
    await desk.store.keys.set_state(key.id, KeyState.VERIFIED, "", None)
    await desk.see("1 verified")
    assert "first project" in desk.front()
    await desk.press("escape", "n")
    await desk.type("count words by language\n")
    await desk.see("is queued")
    assert [p.goal for p in await desk.store.projects.list()] == ["count words by language"]
    await desk.press("3")
    await desk.see("count words by language")
    await desk.app.leave()
    assert files_with(places.state_dir, SECRET) == [] and files_with(places.config_dir, SECRET) == []


async def test_every_empty_screen_says_what_would_fill_it(bare_desk: Desk) -> None:
    bare_desk.app.greets = False
    for section in ("fleet", "hydra", "projects", "logs", "approvals", "recovery", "infra", "pulse"):
        await bare_desk.app.open_section(section)
        await bare_desk.settle()
        assert len(bare_desk.notice.splitlines()) >= 3, section
        assert any(word in bare_desk.notice for word in ("executor ", "n  ", "e  ")), section
