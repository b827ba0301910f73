#!/usr/bin/env bash
# The agent of the tour: starts a bash, a Node and, where there is one, a Python process as its
# children, and a child agent; then watches its own credentials like each of them.
# Usage: agent.sh OBSERVATIONS MURMUR
programs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
observations=$1
murmur=$2

bash "$programs/reader.sh" "$observations" &
node "$programs/reader.mjs" "$observations" &
if command -v python3 >/dev/null; then python3 "$programs/reader.py" "$observations" & fi
"$murmur" spawn helper -- bash "$programs/reader.sh" "$observations" >/dev/null || exit 1

# In this same shell: the agent's first process is a reader, too.
# shellcheck source=reader.sh
. "$programs/reader.sh" "$observations"
