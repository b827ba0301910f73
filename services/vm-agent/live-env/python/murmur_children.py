"""How children get the names that the native environment lacks; loaded when there are any."""
import os
import sys


def pass_mapping_to_children(live):
    """Without env=, a child gets the native environment, which lacks the names that are pending."""
    subprocess = sys.modules.get("subprocess")
    if hasattr(subprocess, "_fork_exec"):
        fill_in(live, subprocess, "_fork_exec", 5)
    else:
        fill_in(live, sys.modules.get("_posixsubprocess"), "fork_exec", 5)
    # From Python 3.13 on, subprocess may spawn without an environment.
    fill_in(live, os, "posix_spawn", 2)


def fill_in(live, holder, name, at):
    original = getattr(holder, name, None)
    if original is None or hasattr(original, "murmur"):
        return

    def call(*args, **kwargs):
        if len(args) > at and args[at] is None and live.pending:
            block = dict(live.data)
            if name != "posix_spawn":
                block = [key + b"=" + value for key, value in block.items()]
            args = args[:at] + (block,) + args[at + 1 :]
        return original(*args, **kwargs)

    call.murmur, call.__name__, call.__doc__ = True, original.__name__, original.__doc__
    setattr(holder, name, call)


def announce(live):
    """Python before 3.8 tells nobody what it starts."""
    for name in ("fork", "forkpty", "system", "execv", "execve"):
        event = "os.exec" if name.startswith("exec") else "os." + name
        setattr(os, name, announced(live, getattr(os, name), event))
    import _posixsubprocess

    fill_in(live, _posixsubprocess, "fork_exec", 5)
    _posixsubprocess.fork_exec = announced(live, _posixsubprocess.fork_exec, "subprocess.Popen")


def announced(live, original, event):
    def call(*args, **kwargs):
        live.later("before_event", event)
        result = original(*args, **kwargs)
        if event.startswith("os.fork"):
            in_child = (result if event == "os.fork" else result[0]) == 0
            live.later("after_fork_in_child" if in_child else "after_fork_in_parent")
        return result

    call.__name__, call.__doc__ = original.__name__, original.__doc__
    return call
