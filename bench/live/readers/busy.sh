# Each line: CLOCK_REALTIME in µs, and a value that was not there before.
last=
while :; do
  until [[ $TOKEN != "$last" ]]; do :; done
  now=$EPOCHREALTIME last=$TOKEN
  printf '%s %s\n' "${now/./}" "$last"
done
