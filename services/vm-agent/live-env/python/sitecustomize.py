"""Murmur's layer for Python programs: keeps os.environ on the generation in force.

Found through PYTHONPATH, so it runs in programs that nobody here has seen, from Python 2.7 on
(there it only makes way). Whatever fails in here is swallowed, nothing is ever printed, there is
no thread and no timer. ../README.md is the specification; murmur_env.py is what programs import.
"""
import sys


def _install():
    import os

    try:
        from posix import getpid
        from _thread import allocate_lock, get_ident
        from time import monotonic, time
    except ImportError:
        return None
    env = os.environ
    data = env._data
    if b"python" not in data.get(b"MURMUR_LIVE", b"").split(b","):
        return None
    directory = data.get(b"MURMUR_DIR")
    if not directory or b"MURMUR_GENERATION" not in data:
        return None

    # Kept from here on: a module's globals are emptied at exit, and programs replace os functions.
    base = type(env)
    base_get, base_set, base_repr = base.__getitem__, base.__setitem__, base.__repr__
    base_len = base.__len__
    os_open, os_read, os_close, os_fstat = os.open, os.read, os.close, os.fstat
    pread, pwrite, putenv, unsetenv = os.pread, os.pwrite, os.putenv, os.unsetenv
    read_only = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    read_write = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    number = int.from_bytes

    view = _map_page(directory + b"/page", os)
    # Cells, since Python 2 cannot parse `nonlocal`.
    seen = [None]  # the page when the names were last put right; None: look again
    retry_at = [0.0]  # after a failure, the earliest time of the next attempt
    written = [None]  # pid, generation and flags of the receipt
    consumed = [0, 0]  # the generation in the block, and the one before it
    forking = [None]  # the thread that is in os.fork
    lock = [allocate_lock()]
    start_ticks = {}  # of this pid
    given = {}  # name -> the value that was delivered last; None: unset
    pending = set()  # names that the mapping has and the native environment has not
    ghosts = {}  # name -> value and when: removed while somebody walked over the names
    walks = {}  # thread -> when its walk began, and whether it goes on
    callbacks = []

    # ---- the live file

    def read_live():
        fd = os_open(directory + b"/..data/live", read_only)
        try:
            size = os_fstat(fd).st_size
            parts, left = [], size
            while left > 0:
                part = os_read(fd, left)
                if not part:
                    break
                parts.append(part)
                left -= len(part)
        finally:
            os_close(fd)
        live = b"".join(parts)
        if len(live) < 40 or live[:8] != b"MURMURL1" or number(live[36:40], "little") != len(live):
            raise ValueError
        return live

    def entries(live):
        at = 40
        for _ in range(number(live[32:36], "little")):
            size = number(live[at : at + 4], "little")
            name_at = at + 20
            value_at = name_at + number(live[at + 6 : at + 8], "little") + 1
            value_end = value_at + number(live[at + 8 : at + 12], "little")
            prints = value_end + 1
            if size < 20 or prints + 12 * live[at + 5] != at + size or at + size > len(live):
                raise ValueError
            yield (
                live[name_at : value_at - 1],
                live[value_at:value_end] if live[at + 4] == 1 else None,
                number(live[at + 12 : at + 20], "little"),
                live[prints : at + size],
            )
            at += size

    def was_delivered(value, prints, key):
        length = len(value).to_bytes(4, "little")
        fingerprint = None
        for at in range(0, len(prints), 12):
            if prints[at : at + 4] == length:
                if fingerprint is None:
                    fingerprint = _siphash(key, value)
                if prints[at + 4 : at + 12] == fingerprint:
                    return True
        return False

    # ---- who owns a name (README)

    def changes(live, block):
        """Names to set, to remove and to add; everything is read before anything is touched."""
        key, known, replaced, removed, added = live[16:32], {}, [], [], []
        for name, value, since, prints in entries(live):
            known[name] = value
            if name == b"MURMUR_GENERATION":
                continue
            present = data.get(name)
            if present is None:
                if value is not None and since > block:
                    added.append((name, value))
            elif present != value:
                if present == given.get(name) or was_delivered(present, prints, key):
                    if value is None:
                        removed.append(name)
                    else:
                        replaced.append((name, value))
        return known, replaced, removed, added

    def refresh():
        """Returns (generation, names) when names changed."""
        page = view[0]
        block = data.get(b"MURMUR_GENERATION", b"")
        if b"MURMUR_DIR" not in data or not block.isdigit():
            # Hands off. Setting the name again makes us look again (mock.patch.dict, clear=True).
            seen[0] = page
            return None
        block = int(block)
        live = read_live()
        generation = number(live[8:16], "little")
        if generation < block:
            seen[0] = page
            write_receipt(block)
            return None
        known, replaced, removed, added = changes(live, block)
        # Adding a name moves the native environment under any thread that reads it.
        ticks, threads = process_facts()
        native = threads == 1
        for name, value in replaced:
            if native or name not in pending:
                putenv(name, value)
                pending.discard(name)
            data[name] = value
        for name in removed:
            if walks:
                ghosts[name] = (data[name], monotonic())
            if name in pending:
                pending.discard(name)
            else:
                unsetenv(name)
            del data[name]
        for name, value in added:
            data[name] = value
            pending.add(name)
        pending.intersection_update(data)
        if native:
            for name in list(pending):
                putenv(name, data[name])
                pending.discard(name)
        digits = str(generation).encode()
        if not pending:
            # With names pending it stays behind, so that whoever gets the native one adds them.
            putenv(b"MURMUR_GENERATION", digits)
        data[b"MURMUR_GENERATION"] = digits
        given.clear()
        given.update(known)
        given[b"MURMUR_GENERATION"] = digits
        seen[0] = page
        write_receipt(generation)
        names = [name for name, _ in replaced] + removed + [name for name, _ in added]
        return (generation, names) if names else None

    def look(patient=False):
        """Puts the names right. `patient`: may wait for a walk over the names to end."""
        if retry_at[0]:
            if monotonic() < retry_at[0]:
                return
            retry_at[0] = 0.0
        if patient:
            walk = walks.get(get_ident())
            # dict(os.environ) takes the names, then each value: one generation for all of them.
            if walk and monotonic() - walk[0] < 0.005:
                return
        mine = lock[0]
        # Somebody is at it: another thread, or this one, which a signal handler interrupted.
        if not mine.acquire(False):
            return
        try:
            news = refresh()
        except Exception:
            news = None
            retry_at[0] = monotonic() + 0.1
        finally:
            mine.release()
        if news:
            names = sorted(env.decodekey(name) for name in news[1])
            for callback in list(callbacks):
                try:
                    callback(news[0], list(names))
                except Exception:
                    pass

    # ---- receipts

    def process_facts():
        """When this process started, in ticks since boot, and how many threads it has now."""
        fd = os_open(b"/proc/self/stat", read_only)
        try:
            stat = os_read(fd, 4096)
        finally:
            os_close(fd)
        fields = stat[stat.rindex(b")") + 2 :].split()
        start_ticks.clear()
        start_ticks[getpid()] = int(fields[19])
        return int(fields[19]), int(fields[17])

    def lives(pid, ticks):
        try:
            fd = os_open(("/proc/%d/stat" % pid).encode(), read_only)
        except OSError:
            return False
        try:
            stat = os_read(fd, 4096)
        finally:
            os_close(fd)
        return int(stat[stat.rindex(b")") + 2 :].split()[19]) == ticks

    def put_slot(record, pid, ticks):
        fd = os_open(directory + b"/receipts", read_write)
        try:
            for step in range(8):
                at = (pid + step) % 4096 * 64
                slot = pread(fd, 64, at)
                if len(slot) < 64:
                    return
                owner, born = number(slot[:4], "little"), number(slot[8:16], "little")
                if owner in (0, pid) or not lives(owner, born):
                    pwrite(fd, record, at)
                    return
        finally:
            os_close(fd)

    def write_receipt(generation):
        if generation != consumed[0]:
            consumed[:] = generation, consumed[0]
        pid = getpid()
        flags = 3 if pending else 1
        if written[0] == (pid, generation, flags):
            return
        written[0] = (pid, generation, flags)
        try:
            if pid not in start_ticks:
                process_facts()
            fields = (
                (pid, 4),
                (4, 4),
                (start_ticks[pid], 8),
                (generation, 8),
                (flags, 4),
                (0, 4),
                (int(time() * 1e9), 8),
                (0, 8),
                (consumed[1], 8),
                (0, 8),
            )
            record = b"".join([value.to_bytes(size, "little") for value, size in fields])
            put_slot(record, pid, start_ticks[pid])
        except Exception:
            pass

    def withdraw_receipt():
        # The program that takes this pid over may read nothing through; if none does, we write anew.
        if written[0]:
            written[0] = seen[0] = None
            fd = os_open(directory + b"/receipts", read_write)
            try:
                for step in range(8):
                    at = (getpid() + step) % 4096 * 64
                    slot = pread(fd, 64, at)
                    if len(slot) == 64 and number(slot[:4], "little") == getpid():
                        pwrite(fd, bytes(64), at)
                        return
            finally:
                os_close(fd)

    # ---- os.environ and os.environb

    class _Environ(base):
        def __getitem__(self, key):
            if view[0] != seen[0]:
                look(True)
            try:
                return self.decodevalue(self._data[self.encodekey(key)])
            except KeyError:
                pass
            if ghosts:
                return ghost(self, key)
            return base_get(self, key)

        def __setitem__(self, key, value):
            base_set(self, key, value)
            key = self.encodekey(key)
            if key in given or key == b"MURMUR_GENERATION":
                # An earlier value may have come back, or the marker; base_set set it natively, too.
                pending.discard(key)
                seen[0] = None

        def __iter__(self):
            if view[0] != seen[0]:
                look()
            if len(walks) > 32:
                walks.clear()
            walk = walks[get_ident()] = [monotonic(), True]
            try:
                for key in list(self._data):
                    yield self.decodekey(key)
            finally:
                walk[1] = False

        def __len__(self):
            if view[0] != seen[0]:
                look(True)
            return base_len(self)

        def __repr__(self):
            if view[0] != seen[0]:
                look()
            return base_repr(self)

    def ghost(self, key):
        """A name that was removed under a walk that has seen it: a KeyError would be our doing."""
        now, walk = monotonic(), walks.get(get_ident())
        value, removed_at = ghosts.get(self.encodekey(key), (None, 0))
        if value is not None and walk and walk[0] < removed_at and (walk[1] or now < walk[0] + 1):
            return self.decodevalue(value)
        if not any(walk[1] or now < walk[0] + 1 for walk in list(walks.values())):
            ghosts.clear()
        return base_get(self, key)

    # ---- children

    def pass_mapping_to_children():
        # Without env=, a child gets the native environment, which lacks the names that are pending.
        module = sys.modules.get("subprocess")
        holder, name = module, "_fork_exec"
        if not hasattr(module, name):
            holder, name = sys.modules.get("_posixsubprocess"), "fork_exec"
        original = getattr(holder, name, None)
        if original is None or hasattr(original, "murmur"):
            return

        def fork_exec(*args):
            if len(args) > 5 and args[5] is None and pending:
                block = [name + b"=" + value for name, value in list(data.items())]
                args = args[:5] + (block,) + args[6:]
            return original(*args)

        fork_exec.murmur = True
        setattr(holder, name, fork_exec)

    events = frozenset(
        "subprocess.Popen os.exec os.posix_spawn os.system os.fork os.forkpty".split()
    )

    def before(event, args):
        if event in events:
            try:
                if view[0] != seen[0]:
                    look()
                if event == "os.exec":
                    withdraw_receipt()
                elif event == "subprocess.Popen" and pending:
                    pass_mapping_to_children()
                elif event in ("os.fork", "os.forkpty"):
                    forking[0] = get_ident()
            except Exception:
                pass

    def after_fork():
        lock[0] = allocate_lock()
        written[0] = None
        start_ticks.clear()
        # Not for a subprocess with preexec_fn: what it becomes may read nothing through.
        if forking[0] == get_ident():
            forking[0] = None
            write_receipt(consumed[0])
        else:
            seen[0] = None

    def forked():
        if forking[0] == get_ident():
            forking[0] = None

    def announced(original, event):
        """Python before 3.8 tells nobody."""

        def call(*args, **kwargs):
            before(event, args)
            result = original(*args, **kwargs)
            if event.startswith("os.fork") and (result if event == "os.fork" else result[0]) == 0:
                after_fork()
            return result

        call.__name__ = original.__name__
        call.__doc__ = original.__doc__
        return call

    look()
    # As the class that programs expect, in errors and where they print a type.
    _Environ.__module__, _Environ.__qualname__ = base.__module__, base.__qualname__
    env.__class__ = _Environ
    if getattr(os, "supports_bytes_environ", False) and os.environb._data is data:
        os.environb.__class__ = _Environ
    if hasattr(os, "reload_environ"):
        reload_environ = os.reload_environ

        def reload_and_look():
            reload_environ()
            seen[0] = None

        reload_and_look.__name__, reload_and_look.__doc__ = "reload_environ", reload_environ.__doc__
        os.reload_environ = reload_and_look
    if hasattr(sys, "addaudithook"):
        # It also holds `view` until everything else is gone: Python 3.12 and before close the page's
        # descriptor by its number then, and a daemon may have made that number another file's.
        sys.addaudithook(before)
        os.register_at_fork(after_in_child=after_fork, after_in_parent=forked)
    else:
        for name in ("fork", "forkpty", "system", "execv", "execve"):
            event = "os.exec" if name.startswith("exec") else "os." + name
            setattr(os, name, announced(getattr(os, name), event))
        import _posixsubprocess as children

        children.fork_exec = announced(children.fork_exec, "subprocess.Popen")
    return callbacks, lambda: look(), lambda: consumed[0], directory


def _map_page(path, os):
    import mmap

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(fd).st_size < 8:
            raise ValueError
        # It takes a descriptor of its own for good; it can do without from Python 3.13 on.
        options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        return memoryview(mmap.mmap(fd, 8, access=mmap.ACCESS_READ, **options)).cast("Q")
    finally:
        os.close(fd)


def _siphash(key, value):
    """SipHash-2-4 (Aumasson and Bernstein, 2012), as 8 bytes, little-endian."""
    mask = 0xFFFFFFFFFFFFFFFF
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    c, d = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    tail = len(value) % 8
    padded = value + bytes(7 - tail) + bytes((len(value) & 0xFF,))
    words = [int.from_bytes(padded[at : at + 8], "little") for at in range(0, len(padded), 8)]
    for word in words + [None]:
        if word is None:
            c ^= 0xFF
        else:
            d ^= word
        for _ in range(4 if word is None else 2):
            a = (a + b) & mask
            b = ((b << 13 | b >> 51) & mask) ^ a
            a = (a << 32 | a >> 32) & mask
            c = (c + d) & mask
            d = ((d << 16 | d >> 48) & mask) ^ c
            a = (a + d) & mask
            d = ((d << 21 | d >> 43) & mask) ^ a
            c = (c + b) & mask
            b = ((b << 17 | b >> 47) & mask) ^ c
            c = (c << 32 | c >> 32) & mask
        if word is not None:
            a ^= word
    return (a ^ b ^ c ^ d).to_bytes(8, "little")


def _chain():
    """Runs the sitecustomize that this one hides: the next on the path. Its errors are its own."""
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    path = [os.path.abspath(entry) for entry in sys.path]
    if here not in path:
        return
    after = sys.path[path.index(here) + 1 :]
    after = [entry for entry in after if os.path.abspath(entry) != here]
    if sys.version_info < (3, 4):
        import imp

        try:
            found = imp.find_module(__name__, after)
        except ImportError:
            return
        try:
            imp.load_module(__name__, *found)
        finally:
            if found[0]:
                found[0].close()
        return
    # importlib.util would cost 3 ms.
    from _frozen_importlib import _load
    from _frozen_importlib_external import PathFinder

    spec = PathFinder.find_spec(__name__, after)
    if spec is not None and spec.loader is not None:
        _load(spec)


if sys.version_info >= (3, 6):
    try:
        _live = _install()
    except Exception:
        _live = None
    # Under a name of its own, since a chained sitecustomize takes ours.
    sys.modules["_murmur_live"] = sys.modules[__name__]
_chain()
