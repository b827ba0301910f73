"""As program.sh."""
import os
import select
import sys

last = 0


def look():
    global last
    now = int(os.environ["TOKEN"][2:])
    if now < last:
        print("went back from %d to %d" % (last, now), flush=True)
    last = now


def say():
    look()
    print("says %d %s" % (last, os.environ["MURMUR_GENERATION"]), flush=True)


say()
while True:
    ready, _, _ = select.select([sys.stdin], [], [], 0.01 if sys.argv[1] == "busy" else None)
    if not ready:
        look()
    elif sys.stdin.readline():
        say()
    else:
        break
