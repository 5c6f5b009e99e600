"""A file system in memory that forgets what was not fsynced, for power cuts without a plug. Run as a program.

    python dropfs.py MOUNTPOINT CONTENT [eager]

It starts with the files of CONTENT. When the name of a directory is written to MOUNTPOINT/.cut, what a disk would hold at that moment is
put there and everything afterwards fails with EIO.

Contents of files become durable by fsync. Names (created, renamed, removed) become durable by fsync of their directory; with `eager`
at once, as on a file system that journals names apart from contents: then a rename without fsync leaves an empty file.
"""

import errno
import os
import stat
import sys
import time
from pathlib import Path

from mfusepy import FUSE, FuseOSError, Operations

CUT = "/.cut"


class Inode:
    """A file: what programs see, and what the disk has."""

    def __init__(self, content: bytes = b"") -> None:
        self.seen, self.kept = bytearray(content), bytes(content)
        self.mode, self.mtime = stat.S_IFREG | 0o600, time.time()


class DropFs(Operations):
    """Paths are absolute; directories are kept apart from files and are durable at once."""

    def __init__(self, content: Path, eager: bool) -> None:
        self.eager, self.dead = eager, False
        self.directories = {"/"}
        self.names: dict[str, Inode] = {}
        for path in sorted(content.rglob("*")):
            name = "/" + str(path.relative_to(content))
            if path.is_dir():
                self.directories.add(name)
            else:
                self.names[name] = Inode(path.read_bytes())
        self.kept_names = dict(self.names)
        self.open_files: dict[int, Inode] = {}
        self.next_handle = 1

    def __call__(self, op: str, *args: object) -> object:
        if self.dead and op not in ("destroy", "release", "releasedir"):
            raise FuseOSError(errno.EIO)
        return super().__call__(op, *args)

    # -- names -----------------------------------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, object]:
        if path in self.directories:
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2, "st_uid": os.getuid(), "st_gid": os.getgid()}
        inode = self._inode(path, fh)
        return {
            "st_mode": inode.mode, "st_nlink": 1, "st_size": len(inode.seen), "st_mtime": int(inode.mtime * 1e9), "st_uid": os.getuid(),
            "st_gid": os.getgid(),
        }  # fmt: skip

    def readdir(self, path: str, fh: int) -> list[str]:
        inside = path.rstrip("/") + "/"
        found = [n for n in (*self.names, *self.directories) if n.startswith(inside) and n != path and "/" not in n[len(inside) :]]
        return [".", "..", *(n[len(inside) :] for n in found if n[len(inside) :])]

    def mkdir(self, path: str, mode: int) -> None:
        self.directories.add(path)

    def rmdir(self, path: str) -> None:
        self.directories.discard(path)

    def rename(self, old: str, new: str) -> None:
        self.names[new] = self.names.pop(old)
        self._names_changed()

    def unlink(self, path: str) -> None:
        if path not in self.names:
            raise FuseOSError(errno.ENOENT)
        del self.names[path]
        self._names_changed()

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        inside = path.rstrip("/") + "/"
        mine = [n for n in {*self.names, *self.kept_names} if n.startswith(inside) and "/" not in n[len(inside) :]]
        for name in mine:
            if name in self.names:
                self.kept_names[name] = self.names[name]
            else:
                self.kept_names.pop(name, None)
        return 0

    # -- contents --------------------------------------------------------------------------------------------------------------

    def create(self, path: str, mode: int, fi: object = None) -> int:
        self.names[path] = Inode()
        self._names_changed()
        return self.open(path, 0)

    def open(self, path: str, flags: int) -> int:
        inode = Inode() if path == CUT else self._inode(path, None)
        self.next_handle += 1
        self.open_files[self.next_handle] = inode
        return self.next_handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._inode(path, fh).seen[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        if path == CUT:
            self._cut(Path(data.decode().strip()))
            return len(data)
        seen = self._inode(path, fh).seen
        if offset > len(seen):
            seen.extend(b"\0" * (offset - len(seen)))
        seen[offset : offset + len(data)] = data
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        seen = self._inode(path, fh).seen
        seen[:] = seen[:length].ljust(length, b"\0")

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        inode = self._inode(path, fh)
        inode.kept = bytes(inode.seen)
        return 0

    def release(self, path: str, fh: int) -> int:
        self.open_files.pop(fh, None)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        if path in self.names:
            self.names[path].mode = stat.S_IFREG | (mode & 0o777)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_blocks": 1 << 20, "f_bavail": 1 << 19, "f_bfree": 1 << 19}

    # -- the plug --------------------------------------------------------------------------------------------------------------

    def _cut(self, target: Path) -> None:
        for directory in self.directories:
            (target / directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for name, inode in self.kept_names.items():
            (target / name.lstrip("/")).write_bytes(inode.kept)
        self.dead = True

    def _names_changed(self) -> None:
        if self.eager:
            self.kept_names = dict(self.names)

    def _inode(self, path: str, fh: int | None) -> Inode:
        inode = self.open_files.get(fh) if fh else None
        inode = inode or self.names.get(path)
        if inode is None:
            raise FuseOSError(errno.ENOENT)
        return inode


if __name__ == "__main__":
    FUSE(
        DropFs(Path(sys.argv[2]), "eager" in sys.argv[3:]), sys.argv[1], foreground=True, nothreads=True, use_ino=False, attr_timeout=0,
        entry_timeout=0,
    )  # fmt: skip
