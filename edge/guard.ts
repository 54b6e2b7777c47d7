/**
 * Runs a program that must not outlive us: `sh -c GUARD name program arguments`, in a session of its own, so that the
 * terminal's Ctrl-C reaches us only.
 *
 * The shell ends the program when the shell's input ends: that happens when we close it, and also when we die of a
 * SIGKILL, so nothing is ever left behind. A program that does not end then is killed after GUARD_SECONDS. And the
 * shell ends when the program does, with its code (128 and the number of the signal that ended it), once nothing of its own is left.
 */
const GUARD_SECONDS = 30;

export const GUARD = `exec 3<&0; "$@" </dev/null 3<&- & child=$!
{ read -r _ <&3; nap=; trap 'kill $nap; wait; exit' TERM; kill -TERM $child; i=0
  while [ $i -lt ${GUARD_SECONDS} ] && kill -0 $child; do sleep 1 & nap=$!; wait $nap; i=$((i+1)); done
  kill -KILL $child; } >/dev/null 2>&1 & reader=$!
wait $child; code=$?; kill $reader 2>/dev/null; wait $reader 2>/dev/null; exit $code`;
