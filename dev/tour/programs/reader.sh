#!/usr/bin/env bash
# Uses DEMO_TOKEN over and over, and notes each new value's fingerprint and whether it and its twin
# ever came from two different sets. Usage: reader.sh OBSERVATIONS
exec {idle}<> <(:) # Never readable: `read -t` on it waits without a process of its own.
reads=0 torn=0 noted='' last_note=0
while :; do
  # The link is resolved once, and everything is read beneath: one generation, entire.
  if cd -P "$MURMUR_DIR/..data" 2>/dev/null && . ./env.sh 2>/dev/null; then
    reads=$((reads + 1))
    [[ "${DEMO_TOKEN#tok-}" == "${DEMO_TOKEN_TWIN#twin-}" ]] || torn=$((torn + 1))
    now=${EPOCHREALTIME/./}
    if [[ "$DEMO_TOKEN" != "$noted" ]] || ((now - last_note > 200000)); then
      [[ "$DEMO_TOKEN" == "$noted" ]] || fingerprint=$(printf %s "$DEMO_TOKEN" | sha256sum)
      noted=$DEMO_TOKEN last_note=$now
      printf '%s %s %s %s %s\n' "${now%???}" "bash" "${fingerprint:0:12}" "$reads" "$torn" >>"$1/$BASHPID"
    fi
  fi
  read -r -t 0.005 -u "$idle"
done
