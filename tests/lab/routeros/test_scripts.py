"""Export writes what import reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor_tui.lab.routeros.errors import TrapError
from executor_tui.lab.routeros.export import quote
from executor_tui.lab.routeros.script import statements


async def exported(client, path: str = "", *flags: str) -> str:
    await client.say(f"{path}/export", "=file=out", *(f"={flag}=yes" for flag in flags))
    (row,) = await client.rows("/file/print", "?name=out.rsc", "=.proplist=contents")
    return row["contents"].replace("\r\n", "\n")


async def load(client, text: str, *flags: str) -> list[list[str]]:
    await client.say("/file/add", "=name=in.rsc", f"=contents={text}")
    replies = await client.say("/import", "=file-name=in.rsc", *flags)
    await client.say("/file/remove", "=numbers=in.rsc")
    return replies


async def test_an_export_imported_elsewhere_gives_the_same_export(start, connect, clock) -> None:
    source, target = await start(clock=clock), await start(clock=clock)
    first, second = await connect(source), await connect(target)
    await first.add("/ip/firewall/filter", chain="input", comment='quotes " and $dollars \\ and\nlines', src_address="10.0.0.0/8")
    await first.add("/queue/simple", name="slow lane", target="10.0.0.23", max_limit="20M/5M")
    for path in ("/ip/firewall", "/queue", "/ppp"):
        text = await exported(first, path)
        for menu in ("/ip/firewall/filter", "/ip/firewall/nat", "/ip/firewall/address-list", "/queue/simple", "/ppp/secret"):
            if menu.startswith(path):
                target.state.tables[menu].restore(type(target.state.table(menu).image())(()))
        assert (await load(second, text))[-1] == ["!done"]
        assert await exported(second, path) == text


async def test_secrets_are_exported_only_when_asked_for(client) -> None:
    await client.add("/ppp/secret", name="anna", password="hunter2")
    assert "hunter2" not in await exported(client)
    assert "hunter2" in await exported(client, "", "show-sensitive")


async def test_rates_are_exported_the_short_way(client) -> None:
    await client.add("/queue/simple", name="q", target="10.0.0.23", max_limit="20000000/512000")
    assert "max-limit=20M/512k" in await exported(client, "/queue")


async def test_a_dry_run_finds_the_error_and_changes_nothing(client, router) -> None:
    before, effects = router.values("/ip/firewall/filter"), len(router.effects)
    text = "/ip firewall filter\nadd chain=input comment=fine\nadd chain=input colour=red"
    replies = await load(client, text, "=verbose=yes", "=dry-run=yes")
    assert "=message=unknown parameter colour (line 3 column 1)" in replies[0]
    assert router.values("/ip/firewall/filter") == before
    assert not any(effect.command.endswith("filter/add") for effect in router.effects[effects:])


async def test_an_import_stops_at_the_first_error_and_keeps_what_came_before(client, router) -> None:
    await load(
        client,
        "/ip firewall filter add chain=input comment=one\n/ip firewall filter add\n/ip firewall filter add chain=input comment=three",
    )
    assert router.values("/ip/firewall/filter")[-1]["comment"] == "one"


async def test_find_selects_the_rows_to_change(client, router) -> None:
    await load(client, '/ip firewall filter set [ find where comment="defconf: accept ICMP" ] disabled=yes; /interface disable ether3')
    assert [values["comment"] for values in router.values("/ip/firewall/filter") if values.get("disabled") == "true"] == [
        "defconf: accept ICMP"
    ]
    assert router.state.table("/interface").by_value("name", "ether3").values["disabled"] == "true"


@pytest.mark.parametrize("text", ['add name="open', "set [find name=x"])
def test_an_open_quote_or_bracket_is_a_syntax_error_with_its_place(text: str) -> None:
    with pytest.raises(TrapError, match=r"syntax error: missing closing .* \(line 1 column \d+\)"):
        list(statements(text))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_quoted_by_export_is_read_back_as_it_was(text: str) -> None:
    ((token,),) = statements(f"comment={quote(text)}")
    assert (token.name, token.text) == ("comment", text)


async def test_a_large_export_is_read_in_pieces(client, router) -> None:
    for number in range(900):
        router.state.table("/ip/firewall/address-list").add(
            {"list": "long", "address": f"10.1.{number // 250}.{number % 250}", "comment": "x" * 60}
        )
    await client.say("/export", "=file=big")
    (row,) = await client.rows("/file/print", "?name=big.rsc")
    assert "contents" not in row and int(row["size"]) > 60_000
    pieces = []
    while sum(map(len, pieces)) < int(row["size"]):
        (piece,) = await client.rows("/file/read", "=file=big.rsc", f"=offset={sum(map(len, pieces))}", "=chunk-size=32768")
        pieces.append(piece["data"])
    assert "".join(pieces).count("list=long") == 900
