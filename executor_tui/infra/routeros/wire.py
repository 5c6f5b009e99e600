"""The only module that names librouteros: it connects, frames words, and hands over whole replies as text.

librouteros casts values by their looks, drops bytes it cannot decode and writes every word, passwords too, to its debug log; so only its
transport, word reader and sentence encoder are used. Words travel through it as Latin-1, which loses nothing, and are UTF-8 on this side.
"""

import asyncio
import contextlib
import hashlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from librouteros import async_create_transport
from librouteros.exceptions import LibRouterosError
from librouteros.login import encode_password
from librouteros.protocol import AsyncApiProtocol, encode_sentence

from executor_tui.infra.routeros.errors import (
    RouterOsAuthError,
    RouterOsCertificateError,
    RouterOsConnectionLostError,
    RouterOsProtocolError,
    RouterOsTimeoutError,
    RouterOsUnreachableError,
)
from executor_tui.infra.routeros.target import RouterOsTarget, normalised_fingerprint


@dataclass(frozen=True, slots=True)
class Trap:
    """One `!trap`: the router's words and whatever attributes came with them."""

    words: str
    category: int | None
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything up to `!done`. `done` holds the attributes of `!done` itself, such as `ret`."""

    rows: tuple[Mapping[str, str], ...] = ()
    done: Mapping[str, str] = field(default_factory=dict)
    traps: tuple[Trap, ...] = ()


def _outgoing(word: str) -> str:
    return word.encode("utf-8", "surrogateescape").decode("latin-1")


def _incoming(word: str) -> str:
    return word.encode("latin-1").decode("utf-8", "surrogateescape")


class Wire:
    """One connection, used by one caller at a time."""

    def __init__(self, target: RouterOsTarget, protocol: AsyncApiProtocol) -> None:
        self._target = target
        self._protocol = protocol
        self._open = True

    @classmethod
    async def open(cls, target: RouterOsTarget) -> "Wire":
        """Connect, check the certificate, log in. Raises `RouterOsUnreachableError`, `…CertificateError` and `…AuthError`."""
        protocol = await _connect(target)
        wire = cls(target, protocol)
        try:
            _check_certificate(target, protocol)
            await wire._log_in()
        except BaseException:
            wire.abort()
            raise
        return wire

    @property
    def is_open(self) -> bool:
        return self._open

    async def exchange(self, words: Sequence[str]) -> Reply:
        """Send one sentence and read its reply.

        Raises `RouterOsConnectionLostError`, and `RouterOsTimeoutError` after the target's timeout. In both cases, and when cancelled, the
        connection is given up: the rest of an unread reply would be taken for the answer to the next command.
        """
        if not self._open:
            raise self._lost("the connection is closed")
        try:
            async with asyncio.timeout(self._target.timeout_s):
                await self._protocol.transport.write(encode_sentence(*map(_outgoing, words), encoding="latin-1"))
                return await self._read_reply()
        except TimeoutError as error:
            self.abort()
            raise RouterOsTimeoutError(self._target.name, f"no answer to {words[0]} within {self._target.timeout_s:g} s") from error
        except (LibRouterosError, OSError) as error:
            self.abort()
            raise self._lost(f"the connection was lost during {words[0]}") from error
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop the connection at once."""
        self._open = False
        self._protocol.transport.writer.transport.abort()

    async def close(self) -> None:
        """Close the connection in good order."""
        self._open = False
        writer = self._protocol.transport.writer
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._target.timeout_s):
                await writer.wait_closed()

    def _lost(self, what: str) -> RouterOsConnectionLostError:
        return RouterOsConnectionLostError(self._target.name, what, hint="Read the router's state before trying again.")

    async def _log_in(self) -> None:
        name = f"=name={self._target.username}"
        reply = await self.exchange(["/login", name, f"=password={self._target.password}"])
        if "ret" in reply.done:  # before 6.43 the password is proven by an answer to a challenge (vendor's API manual)
            try:
                response = encode_password(reply.done["ret"], self._target.password)
            except ValueError as error:
                raise RouterOsAuthError(self._target.name, "a router before 6.43 takes only ASCII passwords") from error
            reply = await self.exchange(["/login", name, f"=response={response}"])
        if reply.traps:
            raise RouterOsAuthError(
                self._target.name,
                f"the account {self._target.username} was not let in: {reply.traps[0].words}",
                hint="Check user name, password, the account's allowed addresses and its api policy.",
            )

    async def _read_reply(self) -> Reply:
        rows: list[Mapping[str, str]] = []
        traps: list[Trap] = []
        while True:
            word, *rest = await self._read_sentence()
            if word == "!re":
                rows.append(self._attributes(rest))
            elif word == "!trap":
                traps.append(self._trap(rest))
            elif word == "!done":
                return Reply(tuple(rows), self._attributes(rest), tuple(traps))
            elif word == "!fatal":
                self.abort()
                reason = rest[0].removeprefix("=message=") if rest else "no reason given"
                raise self._lost(f"it closed the connection: {reason}")
            elif word != "!empty":
                raise RouterOsProtocolError(self._target.name, f"unknown reply word {word[:40]!r}")

    async def _read_sentence(self) -> list[str]:
        words: list[str] = []
        while True:
            word = await self._protocol.readWord()
            if word:
                words.append(_incoming(word))
            elif words:
                return words

    def _attributes(self, words: Sequence[str]) -> dict[str, str]:
        values: dict[str, str] = {}
        for word in words:
            if word.startswith("="):
                name, _, value = word[1:].partition("=")
                values[name] = value
        return values

    def _trap(self, words: Sequence[str]) -> Trap:
        values = self._attributes(words)
        message = values.pop("message", "no reason given")
        category = values.pop("category", "")
        return Trap(message.strip(), int(category) if category.isdigit() else None, values)


async def _connect(target: RouterOsTarget) -> AsyncApiProtocol:
    where = f"{target.host}:{target.port}"
    try:
        transport = await async_create_transport(
            target.host, port=target.port, saddr=None, timeout=target.timeout_s, ssl_wrapper=target.ssl_context()
        )
    except ConnectionRefusedError as error:
        hint = f"Is the {'api-ssl' if target.tls else 'api'} service enabled for this address (/ip service)?"
        raise RouterOsUnreachableError(target.name, f"{where} refuses the connection", hint=hint) from error
    except TimeoutError as error:
        raise RouterOsUnreachableError(target.name, f"{where} did not answer within {target.timeout_s:g} s") from error
    except socket.gaierror as error:
        raise RouterOsUnreachableError(target.name, f"the name {target.host} cannot be resolved") from error
    except ssl.SSLCertVerificationError as error:
        hint = "Pin the certificate's SHA-256 fingerprint in the device's configuration."
        raise RouterOsUnreachableError(
            target.name, f"the certificate of {where} does not verify: {error.verify_message}", hint=hint
        ) from error
    except ssl.SSLError as error:
        hint = "Give the api-ssl service a certificate (/ip service set api-ssl certificate=…)."
        raise RouterOsUnreachableError(target.name, f"no TLS with {where}: {error.reason or 'handshake failed'}", hint=hint) from error
    except OSError as error:
        raise RouterOsUnreachableError(target.name, f"{where} cannot be reached: {error.strerror or error}") from error
    return AsyncApiProtocol(transport=transport, encoding="latin-1", timeout=target.timeout_s)


def shown_fingerprint(protocol: AsyncApiProtocol) -> str:
    """SHA-256 of the certificate the other side showed; empty without TLS."""
    tls = protocol.transport.writer.get_extra_info("ssl_object")
    if tls is None:
        return ""
    certificate = tls.getpeercert(binary_form=True)
    return hashlib.sha256(certificate or b"").hexdigest()


def _check_certificate(target: RouterOsTarget, protocol: AsyncApiProtocol) -> None:
    if not target.tls or not target.fingerprint:
        return
    pinned, shown = normalised_fingerprint(target.fingerprint), shown_fingerprint(protocol)
    if pinned != shown:
        raise RouterOsCertificateError(target.name, pinned=pinned, shown=shown)


async def read_fingerprint(target: RouterOsTarget) -> str:
    """The fingerprint of the certificate a router shows, for a person to compare and pin. Nothing is sent to it."""
    anything = RouterOsTarget(target.name, target.host, "", "", target.port, True, "0" * 64, target.timeout_s)
    protocol = await _connect(anything)
    try:
        return shown_fingerprint(protocol)
    finally:
        protocol.transport.writer.transport.abort()
