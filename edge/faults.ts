import { writeSync } from 'node:fs';

/**
 * Named places where the process can be made to fail on purpose, so that each promise can be attacked exactly where it
 * could break. Off unless SEJONG_EDGE_FAULTS is set, a list with commas of
 *
 *   NAME=kill@N     SIGKILL at the N-th passing: what a power cut leaves
 *   NAME=error@N    throw at the N-th passing, once
 *   NAME=delay@MS   wait so long at each passing: a slow fsync, say (in the writer's thread only)
 *
 * Each write has two places: `WHAT.before` its commit, where nothing is on disk ("failed"), and `WHAT.after` it, where
 * all is and nobody knows ("failed but persisted"). WHAT is the name of the job (store/writer.ts). Chain: `anchor.sent` and `credit.sent`,
 * after the broadcast and before it is written down. What fails or ends here says so first, on standard error.
 */
type Fault = { act: 'kill' | 'error' | 'delay'; n: number };

function parse(spec: string): Map<string, Fault> {
  const faults = new Map<string, Fault>();
  for (const part of spec.split(',').filter((p) => p !== '')) {
    const m = /^([a-z.-]+)=(kill|error|delay)@(\d+)$/.exec(part.trim());
    if (!m) throw new Error(`SEJONG_EDGE_FAULTS: ${part} is not NAME=kill@N, NAME=error@N or NAME=delay@MS`);
    faults.set(m[1] as string, { act: m[2] as Fault['act'], n: Number(m[3]) });
  }
  return faults;
}

/** Read at the first place that is passed: whoever only imports this must be able to say what is wrong with the list. */
let faults: Map<string, Fault> | undefined;
const passed = new Map<string, number>();

/** @throws Error where the environment asks for one here, or for what nobody understands */
export function faultPoint(name: string): void {
  faults ??= parse(process.env.SEJONG_EDGE_FAULTS ?? '');
  if (faults.size === 0) return;
  const fault = faults.get(name);
  if (!fault) return;
  if (fault.act === 'delay') {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fault.n);
    return;
  }
  const times = (passed.get(name) ?? 0) + 1;
  passed.set(name, times);
  if (times !== fault.n) return;
  // Not console.error: a thread's goes through the main one, and would be lost with it.
  writeSync(2, `fault ${name}=${fault.act}@${fault.n}\n`);
  if (fault.act === 'kill') process.kill(process.pid, 'SIGKILL');
  throw new Error(`fault ${name}, as SEJONG_EDGE_FAULTS asks`);
}
