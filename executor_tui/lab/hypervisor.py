"""A simulated Proxmox for the lab: `fakepve`, run as a program of its own on a loopback port, with guests and a template.

The program comes with the `lab` extra. It is AGPL and is never imported; it dies with whoever started it.
"""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

TEMPLATE = "debian-12-standard_12.7-1_amd64.tar.zst"
MISSING = "Proxmox is left out of this lab: the program fakepve is not installed; get it with: pip install 'executor-tui[lab]'"
START_S, STOP_S = 30.0, 5.0
GUESTS = [
    {"vmid": 100, "name": "db", "type": "lxc", "node": "pve1", "status": "running"},
    {"vmid": 101, "name": "wiki", "type": "lxc", "node": "pve1", "status": "stopped"},
    {"vmid": 110, "name": "windows", "type": "qemu", "node": "pve1", "status": "running"},
]
_BOUNDARY = "executor-lab-template"
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"
"""PR_SET_PDEATHSIG (prctl(2)) outlives exec: the program ends also when this process is killed."""


class Hypervisor:
    """`start` gives the reason when there is none to have; else `host`, `port`, `password` and `fingerprint` lead to it.

    `time_scale`: how many seconds a second of its time takes; 0 ends everything at once. `latency` is added to each answer, in its time.
    """

    def __init__(self, folder: Path, *, time_scale: float = 0.0, latency: float = 0.0) -> None:
        self._folder, self._pace = folder, ("--time-scale", f"{time_scale:g}", "--latency", f"{latency:g}")
        self._process: asyncio.subprocess.Process | None = None
        self.password = secrets.token_urlsafe(12)
        self.host, self.port, self.fingerprint = "127.0.0.1", 0, ""

    async def start(self) -> str:
        """Bring it up; returns why it is not there, "" when it is."""
        program = find_program()
        if program is None:
            return MISSING
        self._folder.mkdir(parents=True, exist_ok=True)
        guests = self._folder / "guests.json"
        guests.write_text(json.dumps({"guests": GUESTS}), encoding="utf-8")
        command = [sys.executable, "-c", _DIE_WITH_PARENT, program, str(guests), "--host", self.host, "--port", "0"]
        self._process = await asyncio.create_subprocess_exec(
            *command, *self._pace, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "PVE_PASS": self.password}, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                return await self._meet()
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as exc:
            await self.stop()
            return f"Proxmox is left out of this lab: fakepve did not come up ({type(exc).__name__})"

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _meet(self) -> str:
        """Read where it listens, take its certificate's fingerprint, and give it a template to make containers from."""
        assert self._process is not None and self._process.stdout is not None
        said = (await self._process.stdout.readline()).decode("utf-8", "replace").split()
        port = urlsplit(said[-1]).port if said else None
        if port is None:
            return "Proxmox is left out of this lab: fakepve ended at once; is the lab extra of this version installed?"
        self.port = port
        pem = await asyncio.to_thread(ssl.get_server_certificate, (self.host, port))
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem))
        self.fingerprint = digest.hexdigest()
        await self._give_template(aiohttp.Fingerprint(digest.digest()))
        return ""

    async def _give_template(self, pinned: aiohttp.Fingerprint) -> None:
        api = f"https://{self.host}:{self.port}/api2/json"
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            login = {"username": "root@pam", "password": self.password}
            async with http.post(f"{api}/access/ticket", data=login, ssl=pinned) as answer:
                ticket = (await answer.json())["data"]
            headers = {
                "CSRFPreventionToken": ticket["CSRFPreventionToken"], "Cookie": f"PVEAuthCookie={ticket['ticket']}",
                "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            }  # fmt: skip
            url = f"{api}/nodes/pve1/storage/local/upload"
            async with http.post(url, data=_upload(), headers=headers, ssl=pinned):
                pass


def _upload() -> bytes:
    """The form of an upload, as Proxmox takes it: each part's disposition first."""
    fields = [('name="content"', "vztmpl"), (f'name="filename"; filename="{TEMPLATE}"', "a template in name only")]
    parts = [f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n" for name, value in fields]
    return "".join([*parts, f"--{_BOUNDARY}--\r\n"]).encode()


def find_program() -> str | None:
    """Where fakepve is: beside this Python, else on the path."""
    beside = Path(sys.executable).with_name("fakepve")
    return str(beside) if beside.exists() else shutil.which("fakepve")
