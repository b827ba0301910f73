#!/usr/bin/env bash
# The agent of the tour: starts a bash, a Node and, where there is one, a Python process as its
# children, and a child agent; then watches its own credentials like each of them.
# Usage: agent.sh OBSERVATIONS MURMUR [live]: by the files, or by what is in their environment.
programs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
observations=$1
murmur=$2
program=$programs/${3-reader}

bash "$program.sh" "$observations" &
node "$program.mjs" "$observations" &
if command -v python3 >/dev/null; then python3 "$program.py" "$observations" & fi
"$murmur" spawn helper -- bash "$program.sh" "$observations" >/dev/null || exit 1

# In this same shell: the agent's first process is a reader, too.
# shellcheck source=reader.sh
. "$program.sh" "$observations"
