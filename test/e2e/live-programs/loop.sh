#!/usr/bin/env bash
# A plain loop over a variable.
set -eu
exec {idle}<> <(:) # Never readable: `read -t` on it waits without a process of its own.
printf %s "$$" >"$NOTES/bash.pid"
while :; do
  printf %s "$DEMO_TOKEN" >"$NOTES/bash.new"
  mv "$NOTES/bash.new" "$NOTES/bash"
  read -r -t 0.02 -u "$idle" || :
done
