"""Murmur's layer for Python programs: keeps os.environ on the generation in force.

Found through PYTHONPATH, so it runs in programs that nobody here has seen, from Python 2.7 on
(there it only makes way). Whatever fails in here is swallowed, nothing is ever printed, there is
no thread and no timer. ../README.md is the specification; murmur_env.py is what programs import.
"""
import os
import sys

# An archive, which has what is found by name; the rest stands in the folder beside it.
_here = __file__.rpartition("/")[0]
_folder = _here[: -len(".zip")]


def _install():
    data = os.environ._data
    directory = data.get(b"MURMUR_DIR")
    if directory and b"MURMUR_GENERATION" in data:
        if b"python" in data.get(b"MURMUR_LIVE", b"").split(b","):
            live = _load("murmur_files", "murmur_live")
            live.live = live.install(directory, _load)


def _load(*names):
    """The last of these modules. As `import` does, which costs three times as much."""
    if names[-1] in sys.modules:
        return sys.modules[names[-1]]
    codes = _byte_code(names[-1]) or [None] * len(names)
    for name, code in zip(names, codes):
        module = type(sys)(name)
        module.__file__ = path = _folder + "/" + name + ".py"
        if code is None:
            with open(path, "rb") as file:
                code = compile(file.read(), path, "exec", 0, True)
        exec(code, module.__dict__)
        sys.modules[name] = module
    return module


def _byte_code(name):
    """Of all that is loaded with `name`; None where the daemon compiled none for this Python."""
    from marshal import loads
    from _frozen_importlib_external import MAGIC_NUMBER

    try:
        path = _folder + "/__pycache__/" + name + "." + sys.implementation.cache_tag + ".pyc"
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        pyc = os.read(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    # Compiled so that no time stamp and no source outdates it.
    return loads(memoryview(pyc)[16:]) if pyc[:8] == MAGIC_NUMBER + b"\1\0\0\0" else None


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
        ours = sys.modules.get(__name__)
        try:
            _load(spec)
        except BaseException:
            # Who loads this module takes it away then, and before Python 3.10 must find it.
            sys.modules.setdefault(__name__, ours)
            raise


if sys.version_info >= (3, 6):
    try:
        _install()
    except Exception:
        pass
_chain()
