"""Keeps os.environ on the generation in force; sitecustomize.py installs it (../README.md)."""
import os
import sys
from _thread import allocate_lock, get_ident
from time import monotonic

from murmur_files import LiveFile, Receipts, map_page, process_facts, require_page

_GENERATION = b"MURMUR_GENERATION"
_UNMAPPED, _GONE = (-1,), (None,)
_STARTED = -2  # seen: what start() found is applied, and no page was looked at yet
READS_THROUGH, NOT_APPLIED_NATIVELY = 1, 2


class Live:
    """The names of one process. Every method that a program runs into swallows what fails."""

    def __init__(self, env, directory, load):
        self.env, self.data, self.directory = env, env._data, directory
        self.load = load
        # The page, once somebody looks: mapping it takes a sixth of what the layer costs at start.
        self.view = _UNMAPPED
        self.seen = [None]  # the page when the names were last put right; None: look again
        self.given = {}  # name -> the value that was delivered last; None: unset
        self.pending = set()  # names that the mapping has and the native environment has not
        self.walks = {}  # thread -> when its walk over the names began, and whether it goes on
        self.ghosts = {}  # name -> value and when: removed while somebody walked over the names
        self.callbacks = []
        self.generation = self.before = 0
        self._receipts = Receipts(directory)
        self._lock = allocate_lock()
        self._retry_at = 0.0
        self._forking = None

    def look(self, patient=False):
        """Puts the names right. `patient`: may wait for a walk over the names to end."""
        try:
            if self._retry_at and monotonic() < self._retry_at:
                return
            walk = self.walks.get(get_ident()) if patient else None
            # dict(os.environ) takes the names, then each value: one generation for all of them.
            if walk and monotonic() - walk[0] < 0.002:
                return
            lock = self._lock
            # Somebody is at it: another thread, or this one, which a signal handler interrupted.
            if not lock.acquire(False):
                return
            try:
                self._retry_at = 0.0
                names = self._refresh() if self._map_page() else ()
            except Exception:
                self._retry_at = monotonic() + 0.1
                raise
            finally:
                lock.release()
            if names:
                self._tell(sorted(map(self.env.decodekey, names)))
        except Exception:
            pass

    def start(self):
        require_page(self.directory)
        try:
            self._refresh()
            self.seen[0] = _STARTED
        except Exception:
            # The file may be there later.
            pass

    def _map_page(self):
        """Whether there may be something new."""
        if self.view is _UNMAPPED:
            try:
                self.view = map_page(self.directory)
            except (FileNotFoundError, ValueError):
                self.view = _GONE
            # It never leads the file, so what start() applied is in force.
            if self.seen[0] == _STARTED and self.view[0] == self.generation:
                self.seen[0] = self.view[0]
                return False
        if self.view is _GONE:
            self.seen[0] = None
        return self.view is not _GONE

    def _tell(self, names):
        for callback in list(self.callbacks):
            try:
                callback(self.generation, list(names))
            except Exception:
                pass

    def _refresh(self):
        """Applies the table of the README; returns the names that changed."""
        data, page = self.data, self.view[0]
        block = data.get(_GENERATION, b"")
        if b"MURMUR_DIR" not in data or not block.isdigit():
            # Hands off. Setting the name again makes us look again (mock.patch.dict, clear=True).
            self.seen[0] = page
            return []
        live = LiveFile(self.directory)
        if live.generation < int(block):
            self.seen[0] = page
            self._consume(int(block))
            return []
        replaced, removed, added, given = self._changes(live, int(block))
        self._apply(replaced, removed, added)
        digits = str(live.generation).encode()
        if not self.pending:
            # With names pending it stays behind, so that whoever gets the native one adds them.
            os.putenv(_GENERATION, digits)
        data[_GENERATION] = given[_GENERATION] = digits
        self.given = given
        self.seen[0] = page
        self._consume(live.generation)
        return [name for name, _ in replaced] + removed + [name for name, _ in added]

    def _changes(self, live, block):
        """Everything is read before anything is touched."""
        replaced, removed, added, given = [], [], [], {}
        for name, value, since, prints in live.entries():
            given[name] = value
            present = self.data.get(name)
            if name == _GENERATION or present == value:
                continue
            if present is None:
                if int.from_bytes(since, "little") > block:
                    added.append((name, value))
            elif present == self.given.get(name) or live.was_delivered(present, prints):
                if value is None:
                    removed.append(name)
                else:
                    replaced.append((name, value))
        return replaced, removed, added, given

    def _apply(self, replaced, removed, added):
        data, pending = self.data, self.pending
        for name, value in replaced:
            if name not in pending:
                os.putenv(name, value)
            data[name] = value
        for name in removed:
            if self.walks:
                self.ghosts[name] = (data[name], monotonic())
            if name not in pending:
                os.unsetenv(name)
            del data[name]
        for name, value in added:
            data[name] = value
            pending.add(name)
        pending.intersection_update(list(data))
        # Adding a name moves the native environment away under any thread that reads it.
        if pending and process_facts()[1] == 1:
            for name in list(pending):
                os.putenv(name, data[name])
                pending.discard(name)

    def _consume(self, generation):
        if generation != self.generation:
            self.before, self.generation = self.generation, generation
        self.leave_receipt()

    def leave_receipt(self):
        if self.generation:
            flags = READS_THROUGH | (NOT_APPLIED_NATIVELY if self.pending else 0)
            self._receipts.write(self.generation, self.before, flags)

    # ---- what os.environ asks for

    def was_set(self, key):
        """An earlier value may have come back, or the marker. It is in the native one, too."""
        if key in self.given or key == _GENERATION:
            self.pending.discard(key)
            self.walks.pop(get_ident(), None)
            self.seen[0] = None

    def ghost(self, key):
        """The value of a name that was removed under this thread's walk over the names, or None."""
        now, walk = monotonic(), self.walks.get(get_ident())
        value, removed_at = self.ghosts.get(key, (None, 0))
        if value is not None and walk and walk[0] < removed_at and (walk[1] or now < walk[0] + 1):
            return value
        if not any(walk[1] or now < walk[0] + 1 for walk in list(self.walks.values())):
            self.ghosts.clear()
        return None

    # ---- children and forks

    def before_event(self, event):
        if self.view[0] != self.seen[0]:
            self.look()
        try:
            if event == "os.exec":
                # When the exec fails, the next look leaves a receipt again.
                self.seen[0] = None
                self._receipts.withdraw()
            elif event == "subprocess.Popen" and self.pending:
                self.load("murmur_children").pass_mapping_to_children(self)
            elif event in ("os.fork", "os.forkpty"):
                self._forking = get_ident()
        except Exception:
            pass

    def after_fork_in_parent(self):
        if self._forking == get_ident():
            self._forking = None

    def after_fork_in_child(self):
        self._lock = allocate_lock()
        self._receipts.forget()
        # Not for a subprocess with preexec_fn: what it becomes may read nothing through.
        if self._forking == get_ident():
            self._forking = None
            self.leave_receipt()
        else:
            self.seen[0] = None


def keep_current(environ, live):
    """Has the class of os.environ and os.environb look before it answers.

    In place: a class below it would cost a third of what this module does at a start, and programs
    would see another one.
    """
    # Here and not in globals, which are emptied at exit: programs read their environment until then.
    view, seen, walks, me, now = live.view, live.seen, live.walks, get_ident, monotonic
    get, put, size, show = (
        environ.__getitem__,
        environ.__setitem__,
        environ.__len__,
        environ.__repr__,
    )

    def look(patient=False):
        nonlocal view
        live.look(patient)
        view = live.view

    def __getitem__(self, key):
        if view[0] != seen[0]:
            look(True)
        value = self._data.get(self.encodekey(key))
        if value is not None:
            return self.decodevalue(value)
        value = live.ghost(self.encodekey(key)) if live.ghosts else None
        return get(self, key) if value is None else self.decodevalue(value)

    def __setitem__(self, key, value):
        put(self, key, value)
        live.was_set(self.encodekey(key))

    def __iter__(self):
        if view[0] != seen[0]:
            look()
        if len(walks) > 32:
            walks.clear()
        walk = walks[me()] = [now(), True]
        try:
            for key in list(self._data):
                yield self.decodekey(key)
        finally:
            walk[1] = False

    def __len__(self):
        if view[0] != seen[0]:
            look(True)
        return size(self)

    def __repr__(self):
        if view[0] != seen[0]:
            look()
        return show(self)

    for method in (__getitem__, __setitem__, __iter__, __len__, __repr__):
        setattr(environ, method.__name__, method)


def listen_to_children(live):
    events = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty"}

    def hook(event, args):
        if event in events:
            live.before_event(event)

    if hasattr(sys, "addaudithook"):
        # The hook also holds the page until everything else is gone: Python 3.12 and before close
        # its descriptor by number then, and a daemon may have made that number another file's.
        sys.addaudithook(hook)
        os.register_at_fork(
            after_in_child=live.after_fork_in_child, after_in_parent=live.after_fork_in_parent
        )
    else:
        live.load("murmur_children").announce(live)


def install(directory, load):
    env = os.environ
    live = Live(env, directory, load)
    live.start()
    keep_current(type(env), live)
    if hasattr(os, "reload_environ"):
        reload_environ = os.reload_environ

        def reload_and_look():
            reload_environ()
            live.seen[0] = None

        reload_and_look.__name__, reload_and_look.__doc__ = "reload_environ", reload_environ.__doc__
        os.reload_environ = reload_and_look
    listen_to_children(live)
    return live
