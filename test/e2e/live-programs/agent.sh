#!/usr/bin/env bash
# An agent with programs of many kinds, each of which notes the DEMO_TOKEN that it uses in
# $1/<name> and its pid in $1/<name>.pid. None of them knows of Murmur. Further words: go, cargo.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
export NOTES=$1
bash "$here/loop.sh" &
node "$here/server.mjs" &
python3 "$here/service.py" &
npm --prefix "$here/npm" --silent run start &
make -s -f "$here/Makefile" &
perl -e 'open(F, ">$ENV{NOTES}/perl.pid"); print F $$; close F; open(F, ">$ENV{NOTES}/perl"); print F $ENV{DEMO_TOKEN}; close F; sleep 1000' &
for each in "${@:2}"; do
  case $each in
    # By way of `env`, which the layer did reach: same process, another program.
    go) env "$here/static-go" & ;;
    cargo) (cd "$here/cargo" && exec cargo run --quiet --offline) & ;;
  esac
done
wait
