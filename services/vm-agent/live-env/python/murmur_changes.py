"""What no start needs when all names are right, which is the rule: loaded at the first look."""
import os
from _thread import allocate_lock, get_ident
from time import monotonic

from murmur_files import READ, SLOT_BYTES, process_facts

_GENERATION = b"MURMUR_GENERATION"
_GONE = (None,)
_MASK = 0xFFFFFFFFFFFFFFFF
_number = int.from_bytes


def look(live, patient):
    """Puts the names right. `patient`: may wait for a walk over the names to end."""
    walk = live.walks.get(get_ident()) if patient else None
    # dict(os.environ) takes the names, then each value: one generation for all of them.
    if walk and monotonic() - walk[0] < 0.002:
        return
    lock = live.lock
    # Somebody is at it: another thread, or this one, which a signal handler interrupted.
    if not lock.acquire(False):
        return
    try:
        live._retry_at = 0.0
        names = live.refresh() if _map_page(live) else ()
    finally:
        lock.release()
    if names:
        _tell(live, sorted(map(live.env.decodekey, names)))


def _map_page(live):
    """Whether there may be something new."""
    if live.view is live.unmapped:
        try:
            live.view = _view_of(live.directory + b"/page")
        except (FileNotFoundError, ValueError):
            live.view = _GONE
        # It never leads the file, so what the start applied is in force.
        if live.seen[0] == live.started and live.view[0] == live.generation:
            live.seen[0] = live.view[0]
            return False
    if live.view is _GONE:
        live.seen[0] = None
    return live.view is not _GONE


def _view_of(page):
    """The generation page as a sequence of one number."""
    import mmap
    import sys

    fd = os.open(page, READ)
    try:
        if os.fstat(fd).st_size < 8:
            raise ValueError
        # It takes a descriptor of its own for good; it can do without from Python 3.13 on.
        options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        return memoryview(mmap.mmap(fd, 8, access=mmap.ACCESS_READ, **options)).cast("Q")
    finally:
        os.close(fd)


def _tell(live, names):
    for callback in list(live.callbacks):
        try:
            callback(live.generation, list(names))
        except Exception:
            pass


def apply(live, key, others):
    """Applies the table of the README to what differs; returns the names that changed."""
    replaced, removed, added = [], [], []
    for name, present, value, prints in others:
        if name == _GENERATION:
            continue
        if present is None:
            added.append((name, value))
        elif present == live.given.get(name) or _was_delivered(key, present, prints):
            if value is None:
                removed.append(name)
            else:
                replaced.append((name, value))
    _put(live, replaced, removed, added)
    return [name for name, _ in replaced] + removed + [name for name, _ in added]


def _put(live, replaced, removed, added):
    data, pending = live.data, live.pending
    for name, value in replaced:
        if name not in pending:
            os.putenv(name, value)
        data[name] = value
    for name in removed:
        if live.walks:
            live.ghosts[name] = (data[name], monotonic())
        if name not in pending:
            os.unsetenv(name)
        del data[name]
    for name, value in added:
        data[name] = value
        pending.add(name)


def put_pending(live):
    """Adding a name moves the native environment away under any thread that reads it."""
    pending = live.pending
    pending.intersection_update(list(live.data))
    if pending and process_facts()[1] == 1:
        for name in list(pending):
            os.putenv(name, live.data[name])
            pending.discard(name)


def _was_delivered(key, value, prints):
    # Hashing is slow here: only when a value of this length was delivered at all.
    length, hashed = len(value).to_bytes(4, "little"), None
    for at in range(0, len(prints), 12):
        if prints[at : at + 4] == length:
            hashed = hashed or _siphash(key, value)
            if prints[at + 4 : at + 12] == hashed:
                return True
    return False


def _siphash(key, value):
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


def ghost(live, key):
    """The value of a name that was removed under this thread's walk over the names, or None."""
    now, walk = monotonic(), live.walks.get(get_ident())
    value, removed_at = live.ghosts.get(key, (None, 0))
    if value is not None and walk and walk[0] < removed_at and (walk[1] or now < walk[0] + 1):
        return value
    if not any(walk[1] or now < walk[0] + 1 for walk in list(live.walks.values())):
        live.ghosts.clear()
    return None


# ---- children and forks


def before_event(live, event):
    if live.view[0] != live.seen[0]:
        live.look()
    if event == "os.exec":
        # When the exec fails, the next look leaves a receipt again.
        live.seen[0] = None
        _withdraw(live.receipts)
    elif event == "subprocess.Popen" and live.pending:
        live.load("murmur_children").pass_mapping_to_children(live)
    elif event in ("os.fork", "os.forkpty"):
        live.forking = get_ident()


def _withdraw(receipts):
    """Before another program takes this pid over: it may read nothing through."""
    if receipts.written:
        receipts.written = None
        pid = os.getpid()
        receipts.put(bytes(SLOT_BYTES), lambda owner, _: owner == pid)


def after_fork_in_parent(live):
    if live.forking == get_ident():
        live.forking = None


def after_fork_in_child(live):
    live.lock = allocate_lock()
    live.receipts.written = None
    # Not for a subprocess with preexec_fn: what it becomes may read nothing through.
    if live.forking == get_ident():
        live.forking = None
        live.leave_receipt()
    else:
        live.seen[0] = None
