"""Murmur's layer for Python programs: keeps os.environ on the generation in force.

Found through PYTHONPATH, so it runs in programs that nobody here has seen, from Python 2.7 on
(there it only makes way). Whatever fails in here is swallowed, nothing is ever printed, there is
no thread and no timer. ../README.md is the specification; murmur_env.py is what programs import.
"""
import os
import sys


def _install():
    data = os.environ._data
    directory = data.get(b"MURMUR_DIR")
    if directory and b"MURMUR_GENERATION" in data:
        if b"python" in data.get(b"MURMUR_LIVE", b"").split(b","):
            import murmur_live

            murmur_live.live = murmur_live.install(directory)


def _chain():
    """Runs the sitecustomize that this one hides: the next on the path. Its errors are its own."""
    here = os.path.dirname(os.path.abspath(__file__))
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
