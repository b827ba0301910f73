"""What the Python layer reads and writes in the agent's directory (../README.md)."""
import os
from posix import getpid
from time import time

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_SLOTS, _SLOT_BYTES, _PYTHON = 4096, 64, 4
_MASK = 0xFFFFFFFFFFFFFFFF
_number = int.from_bytes


def read_whole(path, limit=1 << 30):
    fd = os.open(path, _READ)
    try:
        parts, left = [], min(limit, os.fstat(fd).st_size or 4096)
        while left > 0:
            part = os.read(fd, left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def require_page(directory):
    if os.stat(directory + b"/page").st_size < 8:
        raise ValueError


def map_page(directory):
    """The generation page as a sequence of one number."""
    import mmap
    import sys

    fd = os.open(directory + b"/page", _READ)
    try:
        if os.fstat(fd).st_size < 8:
            raise ValueError
        # It takes a descriptor of its own for good; it can do without from Python 3.13 on.
        options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        return memoryview(mmap.mmap(fd, 8, access=mmap.ACCESS_READ, **options)).cast("Q")
    finally:
        os.close(fd)


class LiveFile:
    """One generation; ValueError for a file that makes no sense."""

    def __init__(self, directory):
        self._live = live = read_whole(directory + b"/..data/live")
        if len(live) < 40 or live[:8] != b"MURMURL1" or _number(live[36:40], "little") != len(live):
            raise ValueError
        self.generation = _number(live[8:16], "little")
        self._key = live[16:32]

    def entries(self):
        """Name, value (None: unset), since (8 bytes, little-endian), fingerprints."""
        live, at = self._live, 40
        for _ in range(_number(live[32:36], "little")):
            # Size, kind, number of prints, length of the name and of the value: one number, read once.
            head = _number(live[at : at + 12], "little")
            end = at + (head & 0xFFFFFFFF)
            value_at = at + 21 + (head >> 48 & 0xFFFF)
            value_end = value_at + (head >> 64)
            if end > len(live) or value_end + 1 + 12 * live[at + 5] != end:
                raise ValueError
            yield (
                live[at + 20 : value_at - 1],
                live[value_at:value_end] if live[at + 4] == 1 else None,
                live[at + 12 : at + 20],
                live[value_end + 1 : end],
            )
            at = end

    def was_delivered(self, value, prints):
        # Hashing is slow here: only when a value of this length was delivered at all.
        length, hashed = len(value).to_bytes(4, "little"), None
        for at in range(0, len(prints), 12):
            if prints[at : at + 4] == length:
                hashed = hashed or siphash(self._key, value)
                if prints[at + 4 : at + 12] == hashed:
                    return True
        return False


def siphash(key, value):
    """SipHash-2-4 (Aumasson and Bernstein, 2012), as 8 bytes, little-endian."""
    k0, k1 = _number(key[:8], "little"), _number(key[8:], "little")
    a, b = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    c, d = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = value + bytes(7 - len(value) % 8) + bytes((len(value) & 0xFF,))
    words = [_number(padded[at : at + 8], "little") for at in range(0, len(padded), 8)]
    for word in words + [None]:
        if word is None:
            c ^= 0xFF
        else:
            d ^= word
        for _ in range(4 if word is None else 2):
            a = (a + b) & _MASK
            b = ((b << 13 | b >> 51) & _MASK) ^ a
            a = (a << 32 | a >> 32) & _MASK
            c = (c + d) & _MASK
            d = ((d << 16 | d >> 48) & _MASK) ^ c
            a = (a + d) & _MASK
            d = ((d << 21 | d >> 43) & _MASK) ^ a
            c = (c + b) & _MASK
            b = ((b << 17 | b >> 47) & _MASK) ^ c
            c = (c << 32 | c >> 32) & _MASK
        if word is not None:
            a ^= word
    return (a ^ b ^ c ^ d).to_bytes(8, "little")


def process_facts(pid="self"):
    """When a process started, in ticks since boot, its threads, and where its stack starts."""
    stat = read_whole(("/proc/%s/stat" % pid).encode(), 4096)
    # A program's name may hold spaces and parentheses.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return int(fields[19]), int(fields[17]), int(fields[25])


def _lives(pid, started):
    try:
        return process_facts(pid)[0] == started
    except (OSError, ValueError):
        return False


class Receipts:
    """This process's slot; whatever fails leaves no receipt."""

    def __init__(self, directory):
        self._path = directory + b"/receipts"
        self._written = None  # what the slot says, without its times
        self._started = None  # of this pid

    def write(self, generation, before, flags):
        pid = getpid()
        if self._written == (pid, generation, flags):
            return
        self._written = (pid, generation, flags)
        try:
            if self._started is None or self._started[0] != pid:
                self._started = (pid,) + process_facts()
            _, started, _, stack = self._started
            fields = (pid, 4), (_PYTHON, 4), (started, 8), (generation, 8), (flags, 4), (0, 4)
            # When the earlier generation was last read cannot be told: a read leaves no trace.
            fields += (int(time() * 1e9), 8), (0, 8), (before, 8), (stack, 8)
            record = b"".join([value.to_bytes(size, "little") for value, size in fields])
            self._put(record, lambda owner, born: owner in (0, pid) or not _lives(owner, born))
        except Exception:
            pass

    def withdraw(self):
        """Before another program takes this pid over: it may read nothing through."""
        if self._written:
            self._written = None
            self._put(bytes(_SLOT_BYTES), lambda owner, _: owner == getpid())

    def forget(self):
        self._written = None

    def _put(self, record, is_ours):
        fd = os.open(self._path, _WRITE)
        try:
            for step in range(8):
                at = (getpid() + step) % _SLOTS * _SLOT_BYTES
                slot = os.pread(fd, _SLOT_BYTES, at)
                if len(slot) < _SLOT_BYTES:
                    return
                if is_ours(_number(slot[:4], "little"), _number(slot[8:16], "little")):
                    os.pwrite(fd, record, at)
                    return
        finally:
            os.close(fd)
