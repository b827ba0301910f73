"""What a start of the Python layer reads and writes in the agent's directory (../README.md)."""
import os
from posix import getpid
from time import time

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_WRITE = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_SLOTS, SLOT_BYTES, _PYTHON = 4096, 64, 4
_number = int.from_bytes


def read_whole(path, limit=1 << 30):
    fd = os.open(path, READ)
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


class LiveFile:
    """One generation; ValueError for a file that makes no sense."""

    def __init__(self, directory):
        self._live = live = read_whole(directory + b"/..data/live")
        if len(live) < 40 or live[:8] != b"MURMURL1" or _number(live[36:40], "little") != len(live):
            raise ValueError
        self.generation = _number(live[8:16], "little")
        self.key = live[16:32]

    def compare(self, mapping, block):
        """All names with their values (None: unset), and those that may have to change in `mapping`,
        which is of generation `block`: name, what it has, the value, fingerprints."""
        live, at, size = self._live, 40, len(self._live)
        given, others = {}, []
        for _ in range(_number(live[32:36], "little")):
            # Size, kind, number of prints, length of the name and of the value: one number, read once.
            head = _number(live[at : at + 12], "little")
            end = at + (head & 0xFFFFFFFF)
            value_at = at + 21 + (head >> 48 & 0xFFFF)
            value_end = value_at + (head >> 64)
            if end > size or value_end + 1 + 12 * (head >> 40 & 0xFF) != end:
                raise ValueError
            name = live[at + 20 : value_at - 1]
            given[name] = value = live[value_at:value_end] if head >> 32 & 0xFF == 1 else None
            present = mapping.get(name)
            if present != value:
                # Without the name, it is new, or the program has removed it.
                if present is not None or _number(live[at + 12 : at + 20], "little") > block:
                    others.append((name, present, value, live[value_end + 1 : end]))
            at = end
        return given, others


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
        self.written = None  # what the slot says, without its times
        self._started = None  # of this pid

    def write(self, generation, before, flags):
        pid = getpid()
        if self.written == (pid, generation, flags):
            return
        self.written = (pid, generation, flags)
        try:
            if self._started is None or self._started[0] != pid:
                self._started = (pid,) + process_facts()
            _, started, _, stack = self._started
            fields = (pid, 4), (_PYTHON, 4), (started, 8), (generation, 8), (flags, 4), (0, 4)
            # When the earlier generation was last read cannot be told: a read leaves no trace.
            fields += (int(time() * 1e9), 8), (0, 8), (before, 8), (stack, 8)
            record = b"".join([value.to_bytes(size, "little") for value, size in fields])
            self.put(record, lambda owner, born: owner in (0, pid) or not _lives(owner, born))
        except Exception:
            pass

    def put(self, record, is_ours):
        fd = os.open(self._path, _WRITE)
        try:
            for step in range(8):
                at = (getpid() + step) % _SLOTS * SLOT_BYTES
                slot = os.pread(fd, SLOT_BYTES, at)
                if len(slot) < SLOT_BYTES:
                    return
                if is_ours(_number(slot[:4], "little"), _number(slot[8:16], "little")):
                    os.pwrite(fd, record, at)
                    return
        finally:
            os.close(fd)
