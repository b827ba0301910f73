"""Uses DEMO_TOKEN over and over, and notes what it saw. Usage: reader.py OBSERVATIONS"""

import hashlib
import json
import os
import sys
import time

observations = sys.argv[1]
directory = os.environ["MURMUR_DIR"]
reads = torn = 0
noted, last_note = None, 0.0

while True:
    try:
        # Resolved once: both values come from one generation.
        generation = os.path.join(directory, os.readlink(os.path.join(directory, "..data")))
        with open(os.path.join(generation, "env.json"), encoding="utf-8") as file:
            env = json.load(file)
    except FileNotFoundError:
        continue  # Pruned between two calls: look again.
    reads += 1
    token, twin = env.get("DEMO_TOKEN", ""), env.get("DEMO_TOKEN_TWIN", "")
    torn += token[4:] != twin[5:]
    now = time.time()
    if token != noted or now - last_note > 0.2:
        noted, last_note = token, now
        fingerprint = hashlib.sha256(token.encode()).hexdigest()[:12]
        with open(os.path.join(observations, str(os.getpid())), "a", encoding="ascii") as file:
            file.write(f"{int(now * 1000)} python {fingerprint} {reads} {torn}\n")
    time.sleep(0.005)
