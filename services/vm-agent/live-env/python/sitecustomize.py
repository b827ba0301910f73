"""Murmur's layer for Python programs: keeps os.environ on the generation in force.

Found through PYTHONPATH, so it runs in programs that nobody here has seen, from Python 2.7 on
(there it only makes way). Whatever fails in here is swallowed, nothing is ever printed, there is
no thread and no timer. ../README.md is the specification; murmur_env.py is what programs import.
"""
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _install():
    data = os.environ._data
    directory = data.get(b"MURMUR_DIR")
    if directory and b"MURMUR_GENERATION" in data:
        if b"python" in data.get(b"MURMUR_LIVE", b"").split(b","):
            live = _load("murmur_files") and _load("murmur_live")
            live.live = live.install(directory, _load)


def _load(name):
    """As `import` does, which costs three times as much: it looks for what we know the place of."""
    import marshal
    from _frozen_importlib_external import MAGIC_NUMBER

    if name in sys.modules:
        return sys.modules[name]
    try:
        path = _here + "/__pycache__/" + name + "." + sys.implementation.cache_tag + ".pyc"
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return __import__(name)
    try:
        code = os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    # The daemon compiles it so that no time stamp and no source outdates it.
    if code[:8] != MAGIC_NUMBER + b"\1\0\0\0":
        return __import__(name)
    module = type(sys)(name)
    module.__file__ = _here + "/" + name + ".py"
    exec(marshal.loads(memoryview(code)[16:]), module.__dict__)
    sys.modules[name] = module
    return module


def _chain():
    """Runs the sitecustomize that this one hides: the next on the path. Its errors are its own."""
    here = _here
    if here not in sys.path:
        return
    after = [entry for entry in sys.path[sys.path.index(here) + 1 :] if entry != here]
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
        _install()
    except Exception:
        pass
_chain()
