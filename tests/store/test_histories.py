"""The pieces of a project's history come back in order, whole, and apart from another project's."""

import os

from executor_tui.store.store import Store


async def test_pieces_come_back_in_the_order_they_were_kept(any_store: Store) -> None:
    blobs = [os.urandom(300_000), b"", b"\x00\xff" * 9]
    for number, data in enumerate(blobs):
        await any_store.histories.add("prj-1", f"sha{number}", "main", data)
    await any_store.histories.add("prj-2", "other", "executor/prj-2", b"x")
    found = await any_store.histories.of("prj-1")
    assert [(p.seq, p.sha, p.data) for p in found] == [(n + 1, f"sha{n}", data) for n, data in enumerate(blobs)]
    assert await any_store.histories.last_sha("prj-1") == "sha2"
    assert await any_store.histories.last_sha("prj-3") == "" and not await any_store.histories.of("prj-3")
