"""Reading, writing and editing files that cannot be talked into leaving the workspace.

Every path is walked name by name with descriptors that do not follow links, so a link that is swapped in between two steps leads nowhere.
Links that stay inside the tree work; links that leave it are refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from executor_tui.workspaces.inside import faults
from executor_tui.workspaces.inside.faults import Fault, shown

MAX_PATH_CHARS = 1024
MAX_NAME_BYTES = 255
MAX_READ_BYTES = 256 * 1024
MAX_SCAN_BYTES = 64 * 1024 * 1024
MAX_WRITE_BYTES = 4 * 1024 * 1024
MAX_LINE_BYTES = 16 * 1024
MAX_LINKS = 40
SNIFFED_BYTES = 8192

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def split(path: str) -> list[str]:
    """The names of a relative path; raises `Fault` for one that is not the workspace's business."""
    if not path or not path.strip():
        raise Fault(faults.PATH, "the path is empty; give one relative to the workspace, such as src/app.py")
    if len(path) > MAX_PATH_CHARS:
        raise Fault(faults.PATH, f"the path is {len(path)} characters long; at most {MAX_PATH_CHARS} are allowed")
    if not path.isprintable():
        raise Fault(faults.PATH, f"the path {shown(path)} holds control characters; use printable names")
    if path.startswith("/"):
        raise Fault(faults.PATH, f"{shown(path)} is absolute; give a path relative to the workspace, such as src/app.py")
    names = [name for name in path.split("/") if name not in ("", ".")]
    if not names:
        raise Fault(faults.PATH, f"{shown(path)} is the workspace itself; name a file in it")
    for name in names:
        _check_name(name, path)
    return names


def _check_name(name: str, path: str) -> None:
    if name == "..":
        raise Fault(faults.PATH, f"{shown(path)} holds '..'; paths may not climb, name the file from the top of the workspace")
    if name.lower() == ".git":
        raise Fault(faults.PATH, f"{shown(path)} is in .git, which belongs to Executor; commits are made for you")
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise Fault(faults.PATH, f"a name in {shown(path)} is longer than {MAX_NAME_BYTES} bytes")


@contextlib.contextmanager
def located(root: str, path: str, make_dirs: bool = False) -> Iterator[tuple[int, str]]:
    """A descriptor of the directory beneath `root` that holds `path`, and the last name in it, with links resolved."""
    descriptor, name = _locate(root, path, make_dirs)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)


def _locate(root: str, path: str, make_dirs: bool) -> tuple[int, str]:
    pending = list(reversed(split(path)))
    stack = [os.open(root, _DIRECTORY)]
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if len(stack) == 1:
                    raise Fault(faults.PATH, f"{shown(path)} is a link that leads out of the workspace")
                os.close(stack.pop())
                continue
            target = _link_target(stack[-1], name)
            if target is not None:
                links += 1
                pending.extend(reversed(_link_names(target, path, links)))
            elif not pending:
                return stack.pop(), name
            else:
                stack.append(_enter(stack[-1], name, path, make_dirs))
        raise Fault(faults.PATH, f"{shown(path)} is a directory, not a file")
    finally:
        for descriptor in stack:
            os.close(descriptor)


def _link_target(directory: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            return None
        raise faults.of_os_error(error, shown(name)) from error


def _link_names(target: str, path: str, links: int) -> list[str]:
    if links > MAX_LINKS:
        raise Fault(faults.PATH, f"{shown(path)} is a chain of links without an end")
    if target.startswith("/"):
        raise Fault(faults.PATH, f"{shown(path)} is a link to an absolute path, which leads out of the workspace")
    names = target.split("/")
    if any(name.lower() == ".git" for name in names):
        raise Fault(faults.PATH, f"{shown(path)} is a link into .git, which belongs to Executor")
    return names


def _enter(directory: int, name: str, path: str, make_dirs: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError as error:
        if not make_dirs:
            raise Fault(faults.NOT_FOUND, f"{shown(path)} does not exist") from error
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise Fault(faults.PATH, f"{shown(name)} in {shown(path)} is a file, not a directory") from error
        raise faults.of_os_error(error, shown(path)) from error
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=directory)
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError as error:
        raise faults.of_os_error(error, shown(path)) from error


@contextlib.contextmanager
def opened(root: str, path: str) -> Iterator[BinaryIO]:
    """The regular file at `path`, open for reading; a directory, pipe, device or socket is refused without blocking."""
    with located(root, path) as (directory, name):
        try:
            descriptor = os.open(name, _REGULAR, dir_fd=directory)
        except FileNotFoundError as error:
            raise Fault(faults.NOT_FOUND, f"{shown(path)} does not exist") from error
        except OSError as error:
            raise faults.of_os_error(error, shown(path)) from error
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        what = "a directory, not a file" if stat.S_ISDIR(kind) else "not a regular file"
        raise Fault(faults.PATH, f"{shown(path)} is {what}")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def read(root: str, path: str, first_line: int = 1, last_line: int | None = None) -> str:
    """Lines `first_line` to `last_line` (1-based, inclusive) of a text file; undecodable bytes become U+FFFD."""
    if first_line < 1 or (last_line is not None and last_line < first_line):
        raise Fault(faults.PATH, f"lines {first_line} to {last_line} are no range; the first line is 1")
    with opened(root, path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if b"\0" in stream.read(SNIFFED_BYTES):
            raise Fault(faults.BINARY, f"{shown(path)} is a binary file of {size} bytes; it cannot be read as text")
        stream.seek(0)
        if first_line == 1 and last_line is None:
            if size > MAX_READ_BYTES:
                raise Fault(
                    faults.TOO_LARGE,
                    f"{shown(path)} has {size} bytes, more than {MAX_READ_BYTES}; read a range of its lines",
                )
            return stream.read(MAX_READ_BYTES).decode("utf-8", "replace")
        return _lines(stream, path, first_line, last_line)


def _lines(stream: BinaryIO, path: str, first_line: int, last_line: int | None) -> str:
    kept: list[bytes] = []
    number, scanned, size = 1, 0, 0
    while last_line is None or number <= last_line:
        piece = stream.readline(MAX_LINE_BYTES)
        if not piece:
            break
        scanned += len(piece)
        if number >= first_line:
            kept.append(piece)
            size += len(piece)
        if size > MAX_READ_BYTES:
            raise Fault(faults.TOO_LARGE, f"those lines of {shown(path)} are more than {MAX_READ_BYTES} bytes; read fewer")
        if scanned > MAX_SCAN_BYTES:
            raise Fault(faults.TOO_LARGE, f"{shown(path)} is too large to look for line {first_line}")
        if piece.endswith(b"\n"):
            number += 1
    return b"".join(kept).decode("utf-8", "replace")


def write(root: str, path: str, text: str) -> None:
    """Replace or create `path` with `text` as UTF-8, making its directories; the old file stays whole until the new one is."""
    _store(root, path, _encoded(text, path))


def _encoded(text: str, path: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Fault(faults.PATH, f"the text for {shown(path)} holds half a character (a lone surrogate) at {error.start}") from error
    if len(data) > MAX_WRITE_BYTES:
        raise Fault(faults.TOO_LARGE, f"the text for {shown(path)} has {len(data)} bytes; at most {MAX_WRITE_BYTES} are written")
    return data


def _store(root: str, path: str, data: bytes) -> None:
    if path.endswith("/"):
        raise Fault(faults.PATH, f"{shown(path)} names a directory; name a file")
    with located(root, path, make_dirs=True) as (directory, name):
        mode = _mode_of(directory, name, path)
        temporary = f".{secrets.token_hex(8)}.tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(data)
                    os.fchmod(descriptor, mode)
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=directory)
                raise
        except OSError as error:
            raise faults.of_os_error(error, shown(path)) from error


def _mode_of(directory: int, name: str, path: str) -> int:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return 0o644
    if stat.S_ISDIR(found.st_mode):
        raise Fault(faults.PATH, f"{shown(path)} is a directory; it is not replaced by a file")
    if not stat.S_ISREG(found.st_mode):
        raise Fault(faults.PATH, f"{shown(path)} is not a regular file; it is not replaced")
    return stat.S_IMODE(found.st_mode) & 0o777


def edit(root: str, path: str, old: str, new: str) -> int:
    """Replace the one place where `old` stands by `new`; returns the 1-based line where it stood.

    Bytes outside that place are left as they are. In a file with CRLF line ends, `old` and `new` may be given with LF.
    """
    if not old:
        raise Fault(faults.EDIT, f"the text to replace in {shown(path)} is empty; use write for a new file")
    before, after = _encoded(old, path), _encoded(new, path)
    if before == after:
        raise Fault(faults.EDIT, f"the new text for {shown(path)} is the same as the old")
    with opened(root, path) as stream:
        data = stream.read(MAX_WRITE_BYTES + 1)
    if len(data) > MAX_WRITE_BYTES:
        raise Fault(faults.TOO_LARGE, f"{shown(path)} is larger than {MAX_WRITE_BYTES} bytes; it is not edited")
    if b"\0" in data[:SNIFFED_BYTES]:
        raise Fault(faults.BINARY, f"{shown(path)} is a binary file; it is not edited")
    if before not in data and b"\r\n" in data:
        before, after = _crlf(before), _crlf(after)
    found = data.count(before)
    if found == 0:
        raise Fault(faults.EDIT, f"the text to replace does not occur in {shown(path)}; read it again and copy it exactly")
    if found > 1:
        raise Fault(faults.EDIT, f"the text to replace occurs {found} times in {shown(path)}; give more of its surroundings")
    at = data.index(before)
    _store(root, path, data[:at] + after + data[at + len(before) :])
    return data.count(b"\n", 0, at) + 1


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
