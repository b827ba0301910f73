"""Keeps os.environ on the generation in force; sitecustomize.py installs it (../README.md).

What a start needs when all names are right; murmur_changes.py is the rest.
"""
import os
import sys
from _thread import allocate_lock, get_ident
from time import monotonic

from murmur_files import LiveFile, Receipts, require_page

_GENERATION = b"MURMUR_GENERATION"
READS_THROUGH, NOT_APPLIED_NATIVELY = 1, 2


class Live:
    """The names of one process. Every method that a program runs into swallows what fails."""

    unmapped = (-1,)
    started = -2  # seen: what start() found is applied, and no page was looked at yet

    def __init__(self, env, directory, load):
        self.env, self.data, self.directory = env, env._data, directory
        self.load = load
        # The page, once somebody looks: mapping it takes a sixth of what the layer costs at start.
        self.view = self.unmapped
        self.seen = [None]  # the page when the names were last put right; None: look again
        self.given = {}  # name -> the value that was delivered last; None: unset
        self.pending = set()  # names that the mapping has and the native environment has not
        self.walks = {}  # thread -> when its walk over the names began, and whether it goes on
        self.ghosts = {}  # name -> value and when: removed while somebody walked over the names
        self.callbacks = []
        self.generation = self.before = 0
        self.receipts = Receipts(directory)
        self.lock = allocate_lock()
        self.forking = None
        self._retry_at = 0.0

    def start(self):
        require_page(self.directory)
        try:
            self.refresh()
            self.seen[0] = self.started
        except Exception:
            # The file may be there later.
            pass

    def refresh(self):
        """Applies the table of the README; returns the names that changed. Only one at a time."""
        data, page = self.data, self.view[0]
        block = data.get(_GENERATION, b"")
        if b"MURMUR_DIR" not in data or not block.isdigit():
            # Hands off. Setting the name again makes us look again (mock.patch.dict, clear=True).
            self.seen[0] = page
            return []
        live, block, names = LiveFile(self.directory), int(block), []
        if live.generation < block:
            self.seen[0] = page
            self._consume(block)
            return []
        given, others = live.compare(data, block)
        if others or self.pending:
            changes = self.load("murmur_changes")
            names = changes.apply(self, live.key, others)
            changes.put_pending(self)
        digits = str(live.generation).encode()
        if not self.pending:
            # With names pending it stays behind, so that whoever gets the native one adds them.
            os.putenv(_GENERATION, digits)
        data[_GENERATION] = given[_GENERATION] = digits
        self.given = given
        self.seen[0] = page
        self._consume(live.generation)
        return names

    def _consume(self, generation):
        if generation != self.generation:
            self.before, self.generation = self.generation, generation
        self.leave_receipt()

    def leave_receipt(self):
        if self.generation:
            flags = READS_THROUGH | (NOT_APPLIED_NATIVELY if self.pending else 0)
            self.receipts.write(self.generation, self.before, flags)

    # ---- what os.environ asks for

    def look(self, patient=False):
        """Puts the names right. `patient`: may wait for a walk over the names to end."""
        try:
            if not self._retry_at or monotonic() >= self._retry_at:
                self.load("murmur_changes").look(self, patient)
        except Exception:
            self._retry_at = monotonic() + 0.1

    def was_set(self, key):
        """An earlier value may have come back, or the marker. It is in the native one, too."""
        if key in self.given or key == _GENERATION:
            self.pending.discard(key)
            self.walks.pop(get_ident(), None)
            self.seen[0] = None

    def later(self, name, *args):
        """This function of murmur_changes.py."""
        try:
            return getattr(self.load("murmur_changes"), name)(self, *args)
        except Exception:
            return None


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
        value = live.later("ghost", self.encodekey(key)) if live.ghosts else None
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
            live.later("before_event", event)

    if hasattr(sys, "addaudithook"):
        # The hook also holds the page until everything else is gone: Python 3.12 and before close
        # its descriptor by number then, and a daemon may have made that number another file's.
        sys.addaudithook(hook)
        os.register_at_fork(
            after_in_child=lambda: live.later("after_fork_in_child"),
            after_in_parent=lambda: live.later("after_fork_in_parent"),
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
