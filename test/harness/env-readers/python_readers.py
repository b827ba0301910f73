"""Reads an env file with a real parser; prints {name: base64 of the value's bytes} as JSON.

usage: python_readers.py dotenv|systemd|json FILE [LIBRARY]
"""

import base64
import ctypes
import json
import sys


def read_dotenv(path):
    import dotenv

    return {k: v.encode() for k, v in dotenv.dotenv_values(path).items()}


def read_json(path):
    with open(path, "rb") as file:
        parsed = json.load(file)
    return {k: v.encode() for k, v in parsed.items() if not k.startswith("_")}


def read_systemd(path, library):
    """What systemd does for EnvironmentFile=: load_env_file, then drop invalid assignments."""
    shared = ctypes.CDLL(library)
    loaded = ctypes.POINTER(ctypes.c_char_p)()
    shared.load_env_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    result = shared.load_env_file(None, path.encode(), ctypes.byref(loaded))
    if result < 0:
        raise OSError(-result, "load_env_file")
    shared.strv_env_clean_with_callback.restype = ctypes.POINTER(ctypes.c_char_p)
    shared.strv_env_clean_with_callback.argtypes = [ctypes.c_void_p] * 3
    cleaned = shared.strv_env_clean_with_callback(loaded, None, None)
    values = {}
    at = 0
    while cleaned and cleaned[at]:
        name, _, value = cleaned[at].partition(b"=")
        values[name.decode()] = value
        at += 1
    return values


def main():
    kind, path = sys.argv[1:3]
    if kind == "systemd":
        values = read_systemd(path, sys.argv[3])
    else:
        values = {"dotenv": read_dotenv, "json": read_json}[kind](path)
    print(json.dumps({k: base64.b64encode(v).decode() for k, v in values.items()}))


main()
