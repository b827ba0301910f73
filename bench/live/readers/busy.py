"""Each line: CLOCK_MONOTONIC in ns, and a value that was not there before."""
import os
import time

last = None
while True:
    now = os.environ["TOKEN"]
    if now != last:
        last = now
        os.write(1, b"%d %s\n" % (time.monotonic_ns(), now.encode()))
