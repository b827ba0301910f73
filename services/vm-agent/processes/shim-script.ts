/**
 * The shim: an agent's parent, one small POSIX shell per agent, which outlives the daemon.
 *
 * It runs as the daemon's user in the agent's state directory, which that user alone can enter.
 * Only its child gives up the rights and becomes the agent, so an agent under another user can
 * neither end its shim nor write its own or another's status. It leaves behind, in this order:
 *
 * - `claim`: from now on the daemon cannot take the start back. Where it has done so, by moving the
 *   directory away and removing it, the shim ends here without having started anything;
 * - `<events>/<id>.started`: the agent's /proc/PID/stat line, hence pid and start time, which stay
 *   the same through every exec that follows;
 * - `<events>/<id>.exit`: `exit <status>`, or `exit <status> said` when the shell reported a death
 *   by signal. The bytes were set aside by the daemon, so that a full disk does not lose it.
 *
 * The last two appear whole, by rename. Traps, not ignored signals: an ignored signal would be
 * inherited by the agent, a trapped one is not. The agent runs in the foreground, because a shell
 * lets background commands ignore SIGINT for good.
 */
export const SHIM_SCRIPT = `# Murmur's shim: started by the daemon, one per agent.
agent=$1 events=$2 cgroup=$3
shift 3
exec 3>&2 2>shim.log || exit 125
trap : HUP INT QUIT USR1 USR2 PIPE ALRM TERM
read -r stat </proc/self/stat || exit 125
printf '%s\\n' "$stat" >claim || exit 125
(
  exec 2>&3 3>&-
  [ -z "$cgroup" ] || printf 0 >"$cgroup/cgroup.procs" || exit 125
  read -r stat </proc/self/stat || exit 125
  printf '%s\\n' "$stat" >started.tmp && mv -f started.tmp "$events/$agent.started" || exit 125
  if command -v setsid >/dev/null; then exec setsid "$@"; else exec "$@"; fi
)
status=$? said= tries=0
[ ! -s shim.log ] || said=' said'
until printf 'exit %s%s\\n' "$status" "$said" 1<>exit.tmp && mv -f exit.tmp "$events/$agent.exit"; do
  tries=$((tries + 1))
  [ -e exit.tmp ] && [ "$tries" -lt 3600 ] || exit 125
  sleep 1
done
`;

/**
 * The last step before the agent's own command, already with the agent's rights: reads the
 * environment from the file, so that neither the daemon nor a command line ever holds a value, and
 * becomes the command. The environment file belongs to the agent's user, who can change it: nothing
 * with more rights may ever source it.
 */
export const EXEC_SCRIPT = `umask 022
[ -r "$1" ] || { echo "murmur: the agent's environment file cannot be read" >&2; exit 126; }
if [ -n "$2" ]; then cd -- "$2" || exit 126; else cd -- "$HOME" 2>/dev/null || cd /; fi
. "$1"
shift 2
unset OLDPWD
exec "$@"`;
