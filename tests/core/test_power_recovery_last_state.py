"""The file last_state.json: written whole, read with suspicion."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from executor_tui.core.recovery.last_state import LastState, NodeState, Unreported, decode, encode
from executor_tui.core.recovery.suspects import Suspect
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.errors import StoreError
from executor_tui.domain.recovery import OutageKind

AT = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)
STATE = NodeState(
    "node-a", "boot-1", 4711, AT, AT, 12.5, suspects=(Suspect("project:prj-a", "coder 1.2", 2),),
    unreported=Unreported("rec-1", OutageKind.CRASH, "certain", AT, AT, "boot-1", 1, ("project:prj-z",), ("a note",)),
    agents={"coder-1": "busy"},
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "last_state.json"


@pytest.fixture
def file(path: Path, clock: ManualClock) -> LastState:
    return LastState(path, clock)


async def test_what_is_written_is_read_back(file: LastState) -> None:
    await file.write(STATE)
    assert (await file.read()).state == STATE


async def test_a_plain_state_survives_too(file: LastState) -> None:
    plain = replace(STATE, unreported=None, suspects=(), agents={}, clean=True)
    await file.write(plain)
    assert (await file.read()).state == plain


async def test_changed_agents_are_written_though_the_text_of_unchanged_ones_is_kept(file: LastState) -> None:
    await file.write(STATE)
    await file.write(replace(STATE, agents={"coder-1": "waiting"}))
    read = (await file.read()).state
    assert read is not None and read.agents == {"coder-1": "waiting"}


async def test_without_a_file_there_is_no_state_and_nothing_to_say(file: LastState) -> None:
    read = await file.read()
    assert read.state is None and read.note == ""


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe\x00", b'{"format": 1}', encode(STATE).encode()[:-40],
        encode(STATE).replace('"node-a"', "7").encode(), encode(STATE).replace("2026-11-22T03:12:00+00:00", "yesterday").encode(),
        encode(STATE).replace('"agents": {', '"agents": [1], "x": {').encode(), b"[" * 100_000,
    ],
)  # fmt: skip
async def test_a_damaged_file_is_set_aside_with_a_word_and_kept(file: LastState, path: Path, text: bytes) -> None:
    path.write_bytes(text)
    read = await file.read()
    kept = next(path.parent.glob("last_state.json.damaged-*"))
    assert read.state is None and kept.name in read.note
    assert kept.read_bytes() == text and not path.exists()


async def test_a_file_of_a_newer_program_is_set_aside_as_such(file: LastState, path: Path) -> None:
    data = json.loads(encode(STATE)) | {"format": 99, "surprise": True}
    path.write_text(json.dumps(data))
    read = await file.read()
    assert read.state is None and "newer Executor (format 99" in read.note
    assert json.loads(next(path.parent.glob("last_state.json.newer-*")).read_text()) == data


async def test_left_over_temporary_files_are_swept(file: LastState, path: Path) -> None:
    (path.parent / ".last_state.json.abc123").write_text("half")
    await file.write(STATE)
    await file.read()
    assert os.listdir(path.parent) == ["last_state.json"]


async def test_a_state_directory_that_is_not_a_directory_is_one_clear_line(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match=r"last_state\.json cannot be") as caught:
        await LastState(tmp_path / "state" / "last_state.json", clock).write(STATE)
    assert "writable" in caught.value.hint


def test_decoding_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        decode(encode(STATE).replace("+00:00", "").encode())
