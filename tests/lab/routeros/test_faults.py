"""Things going wrong on purpose."""

FILTER = "/ip/firewall/filter"


async def test_connection_is_cut_before_the_nth_write_which_then_never_happened(router, client) -> None:
    before = router.values(FILTER)
    router.faults.cut_before_write = 2
    await client.add(FILTER, chain="input", comment="first")
    await client.send(f"{FILTER}/add", "=chain=input", "=comment=second")
    assert await client.ended()
    assert len(router.values(FILTER)) == len(before) + 1


async def test_connection_is_cut_after_the_nth_write_which_did_happen(router, client) -> None:
    before = router.values(FILTER)
    router.faults.cut_after_write = 1
    await client.send(f"{FILTER}/add", "=chain=input")
    assert await client.ended()
    assert len(router.values(FILTER)) == len(before) + 1


async def test_a_named_command_can_be_refused_with_extra_attributes(router, client) -> None:
    router.faults.refuse[f"{FILTER}/add"] = "failure: out of luck"
    router.faults.trap_extra = {"code": "42"}
    assert await client.trap(f"{FILTER}/add", "=chain=input") == {"message": "failure: out of luck", "code": "42"}


async def test_a_fatal_carries_its_reason_and_ends_the_connection(router, client) -> None:
    router.faults.fatal["/system/identity/print"] = "out of memory"
    assert await client.say("/system/identity/print") == [["!fatal", "out of memory"]]
    assert await client.ended()


async def test_refused_connections_get_no_answer(router, connect) -> None:
    router.faults.refuse_connections = True
    client = await connect(router, user=None)
    assert await client.ended()


async def test_effects_keep_what_was_done_and_hide_secrets(router, client) -> None:
    await client.add("/ppp/secret", name="anna", password="hunter2")
    await client.trap("/ppp/secret/add", "=name=anna")
    done, refused = router.effects
    assert (done.command, done.user, done.outcome) == ("/ppp/secret/add", "admin", "done")
    assert done.arguments == {"name": "anna", "password": "(hidden)"}
    assert refused.outcome == "failure: secret with the same name already exists"
