#!/usr/bin/env bash
# As reader.sh, but reads no file: this shell's own variables change while it runs. Falls back to
# the files where nothing makes them change. Usage: live.sh OBSERVATIONS
if [[ ",${MURMUR_LIVE-}," != *,bash,* ]]; then
  # shellcheck source=reader.sh
  . "$(dirname "${BASH_SOURCE[0]}")/reader.sh" "$@"
fi
exec {idle}<> <(:) # Never readable: `read -t` on it waits without a process of its own.
reads=0 torn=0 noted='' last_note=0
while :; do
  generation=$MURMUR_GENERATION
  token=$DEMO_TOKEN
  twin=$DEMO_TOKEN_TWIN
  # Else a swap fell in between: look again.
  if [[ "$MURMUR_GENERATION" == "$generation" ]]; then
    reads=$((reads + 1))
    [[ "${token#tok-}" == "${twin#twin-}" ]] || torn=$((torn + 1))
    now=${EPOCHREALTIME/./}
    if [[ "$token" != "$noted" ]] || ((now - last_note > 200000)); then
      [[ "$token" == "$noted" ]] || fingerprint=$(printf %s "$token" | sha256sum)
      noted=$token last_note=$now
      printf '%s bash %s %s %s environment\n' "${now%???}" "${fingerprint:0:12}" "$reads" "$torn" >>"$1/$BASHPID"
    fi
  fi
  read -r -t 0.005 -u "$idle"
done
