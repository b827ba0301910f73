"""For Python programs under Murmur that want to know when their environment changes.

    import murmur_env

    stop = murmur_env.on_change(lambda generation, names: reconnect())

    async with murmur_env.watch() as changes:
        async for generation, names in changes:
            await reconnect()

os.environ itself needs neither: a read sees the generation in force. Where the layer is off, all
of this can still be called, and nothing ever changes. Names are sorted; values are in os.environ.
"""
import sys

__all__ = ["generation", "on_change", "watch"]


def _live():
    return getattr(sys.modules.get("murmur_live"), "live", None)


def generation():
    """The generation that os.environ is on now; None where the layer is off."""
    live = _live()
    if live is None:
        return None
    live.env.get("MURMUR_GENERATION")
    return live.generation


def on_change(callback):
    """Calls callback(generation, names) after names changed; returns a function that ends it.

    There is no thread: the call is made by the access to os.environ (or the start of a child) that
    notices, in its thread, after all names have changed. What the callback raises is swallowed.
    """
    live = _live()
    if live is None:
        return lambda: None
    live.callbacks.append(callback)

    def stop():
        if callback in live.callbacks:
            live.callbacks.remove(callback)

    return stop


def watch(loop=None):
    """Changes as they happen, for asyncio: an async iterator of (generation, names).

    It uses one inotify instance of the user while it is open, so close it: `async with`, or
    aclose(). Changes that come faster than they are taken become one. OSError when the system
    has no inotify instance left.
    """
    return _Watch(loop)


class _Watch:
    def __init__(self, loop):
        import asyncio

        if loop is None:
            try:
                loop = asyncio.get_running_loop()
            except AttributeError:  # Python 3.6
                loop = asyncio.get_event_loop()
        self._loop = loop
        self._generation, self._names = 0, set()
        self._waiting, self._closed, self._fd = None, False, None
        self._live = _live()
        self._stop = on_change(self._noticed)
        if self._live is not None:
            try:
                self._fd = _inotify(self._live.directory + b"/page")
                loop.add_reader(self._fd, self._readable)
            except BaseException:
                self._close()
                raise

    def _readable(self):
        import os

        try:
            os.read(self._fd, 4096)
        except OSError:
            pass
        self._live.look()

    def _noticed(self, generation, names):
        # Whichever thread reads os.environ first.
        self._loop.call_soon_threadsafe(self._arrived, generation, names)

    def _arrived(self, generation, names):
        self._generation = generation
        self._names.update(names)
        self._wake()

    def _wake(self):
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._names:
            if self._closed:
                raise StopAsyncIteration
            self._waiting = self._loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        generation, names = self._generation, sorted(self._names)
        self._names.clear()
        return generation, names

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self._close()

    async def aclose(self):
        self._close()

    def _close(self):
        import os

        self._closed = True
        self._stop()
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
        self._wake()

    def __del__(self):
        if not self._closed and not self._loop.is_closed():
            self._close()


def _inotify(path):
    import ctypes
    import os

    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    # IN_MODIFY. The page alone: the directory would tell of every receipt of every process, too.
    if fd < 0 or libc.inotify_add_watch(fd, ctypes.c_char_p(path), 0x2) < 0:
        error = ctypes.get_errno()
        if fd >= 0:
            os.close(fd)
        raise OSError(error, os.strerror(error))
    return fd
