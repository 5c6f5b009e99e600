"""Commands that belong to one place only: safe mode, backup, files, scripts, update, reboot, export."""

from collections.abc import Callable, Mapping

from executor_tui.lab.routeros.call import Answer, Call, missing
from executor_tui.lab.routeros.errors import SCRIPT, TrapError, failure, no_such_command, no_such_item
from executor_tui.lab.routeros.export import export_text
from executor_tui.lab.routeros.items import find_one
from executor_tui.lab.routeros.script import run_script

Action = Callable[[Call], Answer]

_INLINE_BYTES = 60_000
"""Files above this size do not show their contents in print and have to be read in pieces."""
_CHUNK_BYTES = 32_768


def take(call: Call) -> Answer:
    call.safe_mode.require()
    call.allow("on-error")
    call.safe_mode.take(call.caller.session)
    return Answer()


def release(call: Call) -> Answer:
    call.safe_mode.require()
    call.allow()
    call.safe_mode.release(call.caller.session)
    return Answer()


def unroll(call: Call) -> Answer:
    call.safe_mode.require()
    call.allow()
    call.safe_mode.unroll(call.caller.session)
    return Answer()


def toggle(call: Call) -> Answer:
    return take(call) if call.safe_mode.holder is None else release(call)


def safe_mode_state(call: Call) -> Answer:
    call.safe_mode.require()
    return Answer(({"enabled": str(call.safe_mode.holder is not None).lower()},), prints=True)


def backup_save(call: Call) -> Answer:
    call.allow("name", "password", "dont-encrypt", "encryption")
    name = call.argument("name", call.router.settings["/system/identity"]["name"])
    router = call.router
    router.backups[name] = router.image()
    router.backup_passwords[name] = "" if call.flag("dont-encrypt") else call.argument("password", "")
    _write_file(call, f"{name}.backup", "", "backup", 41_236)
    router.log("system,info", "configuration backup saved")
    return Answer()


def backup_load(call: Call) -> Answer:
    """Puts the saved configuration back and reboots, so the caller's own connection goes too."""
    call.allow("name", "password", "force-v6-to-v7-configuration-upgrade")
    name = call.argument("name").removesuffix(".backup")
    password = call.argument("password")
    router = call.router
    if name not in router.backups or router.table("/file").by_value("name", f"{name}.backup") is None:
        raise failure("backup file not found")
    if router.backup_passwords[name] != password:
        raise failure("wrong password")
    router.restore(router.backups[name])
    call.safe_mode.forget()
    router.log("system,info", "configuration restored from backup")
    router.reboot()
    return Answer()


def reboot(call: Call) -> Answer:
    call.allow()
    call.safe_mode.forget()
    call.router.reboot()
    return Answer()


def check_for_updates(call: Call) -> Answer:
    call.allow("once", "duration", ".proplist", "fetch-changelog")
    settings = call.router.settings["/system/package/update"]
    settings["checked"] = "yes"
    latest = call.router.health.latest_version or call.router.device.version
    status = "New version is available" if latest != call.router.device.version else "System is already up to date"
    shared = {"channel": settings.get("channel", "stable"), "installed-version": call.router.device.version}
    return Answer(({**shared, "status": "finding out latest version..."}, {**shared, "latest-version": latest, "status": status}))


def run(call: Call) -> Answer:
    call.allow("number", ".id", "use-script-permissions")
    token = call.arguments.get("number", call.arguments.get(".id"))
    if token is None:
        raise missing("number")
    row = find_one(call.router, call.router.menus["/system/script"], token)
    if row is None:
        raise no_such_item()
    row.facts["run-count"] = str(int(row.facts.get("run-count", "0")) + 1)
    run_script(call, row.values.get("source", ""))
    return Answer()


def export(call: Call) -> Answer:
    """Over the API an export gives nothing unless it is written to a file."""
    call.allow("file", "compact", "verbose", "terse", "show-sensitive", "hide-sensitive", "path")
    scope = call.command.path
    text = export_text(
        call.router,
        scope,
        verbose=call.flag("verbose"),
        terse=call.flag("terse"),
        show_sensitive=call.flag("show-sensitive"),
    )
    name = call.arguments.get("file")
    if name:
        _write_file(call, name if name.endswith(".rsc") else f"{name}.rsc", text, "script", len(text.encode()))
    return Answer()


def import_(call: Call) -> Answer:
    call.allow("file-name", "verbose", "dry-run", "from-line")
    dry = call.flag("dry-run")
    if dry and call.router.version < (7, 16):
        raise TrapError("unknown parameter dry-run")
    if dry and not call.flag("verbose"):
        raise failure("dry-run works only together with verbose")
    row = call.router.table("/file").by_value("name", call.argument("file-name"))
    if row is None:
        raise TrapError("failure: file not found", SCRIPT)
    run_script(call, row.values["contents"], dry=dry)
    return Answer()


def file_read(call: Call) -> Answer:
    if call.router.version < (7, 13):
        raise no_such_command()
    call.allow("file", "offset", "chunk-size")
    row = call.router.table("/file").by_value("name", call.argument("file"))
    if row is None:
        raise no_such_item()
    offset, size = int(call.argument("offset", "0")), min(int(call.argument("chunk-size")), _CHUNK_BYTES)
    piece = row.values["contents"].encode("utf-8", "surrogateescape")[offset : offset + size]
    return Answer(({"data": piece.decode("utf-8", "surrogateescape")},))


def show_client_config(call: Call) -> Answer:
    row = find_one(call.router, call.router.menus["/interface/wireguard/peers"], call.argument("number", call.arguments.get(".id")))
    if row is None:
        raise no_such_item()
    lines = ["[Interface]", f"Address = {row.values.get('client-address', '')}", "[Peer]"]
    return Answer(({"conf": "\n".join(lines)},))


def _write_file(call: Call, name: str, contents: str, kind: str, size: int) -> None:
    table = call.router.table("/file")
    old = table.by_value("name", name)
    if old is not None:
        table.remove(old)
    stamp = call.router.clock.now().strftime("%Y-%m-%d %H:%M:%S")
    facts = {"type": kind, "size": str(size), "last-modified": stamp}
    if size <= _INLINE_BYTES and kind != "backup":
        facts["contents"] = contents
    table.add({"name": name, "contents": contents}, facts=facts)


ACTIONS: Mapping[str, Action] = {
    "/safe-mode/take": take,
    "/safe-mode/release": release,
    "/safe-mode/unroll": unroll,
    "/safe-mode/toggle": toggle,
    "/safe-mode/print": safe_mode_state,
    "/safe-mode/get": safe_mode_state,
    "/system/backup/save": backup_save,
    "/system/backup/load": backup_load,
    "/system/reboot": reboot,
    "/system/package/update/check-for-updates": check_for_updates,
    "/system/script/run": run,
    "/import": import_,
    "/file/read": file_read,
    "/interface/wireguard/peers/show-client-config": show_client_config,
}
READING_ACTIONS = frozenset(
    {"/safe-mode/print", "/safe-mode/get", "/file/read", "/system/package/update/check-for-updates"}
    | {"/interface/wireguard/peers/show-client-config"}
)
