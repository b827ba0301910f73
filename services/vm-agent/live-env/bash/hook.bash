# For interactive shells, by PROMPT_COMMAND: they read no BASH_ENV. Loads the builtin once; after
# that the shell follows by itself and this costs a test. `$?` is put back for what comes after.
__murmur_status=$?
if [[ ! ${__murmur_loaded-} ]]; then
  __murmur_loaded=1
  { [[ ${BASH_VERSINFO[0]-}.${BASH_VERSINFO[1]-} == 5.[012] && ,${MURMUR_LIVE-}, == *,bash,* && -r ${MURMUR_LIVE_DIR-}/bash/murmur-bash.so ]] &&
    enable -f "$MURMUR_LIVE_DIR/bash/murmur-bash.so" murmur_live; } 2>/dev/null
fi
return "$__murmur_status"
