"""As reader.py, but reads no file: os.environ of this running program changes. Falls back to the
files where nothing makes it change. Usage: live.py OBSERVATIONS"""

import hashlib
import os
import runpy
import sys
import time

if "python" not in os.environ.get("MURMUR_LIVE", "").split(","):
    runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "reader.py"))

observations = sys.argv[1]
reads = torn = 0
noted, last_note = None, 0.0

while True:
    generation = os.environ["MURMUR_GENERATION"]
    token, twin = os.environ["DEMO_TOKEN"], os.environ["DEMO_TOKEN_TWIN"]
    if os.environ["MURMUR_GENERATION"] != generation:
        continue  # A swap fell in between: look again.
    reads += 1
    torn += token[4:] != twin[5:]
    now = time.time()
    if token != noted or now - last_note > 0.2:
        noted, last_note = token, now
        fingerprint = hashlib.sha256(token.encode()).hexdigest()[:12]
        with open(os.path.join(observations, str(os.getpid())), "a", encoding="ascii") as file:
            file.write(f"{int(now * 1000)} python {fingerprint} {reads} {torn} environment\n")
    time.sleep(0.005)
