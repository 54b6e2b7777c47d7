/** Runs a driver's job against a device in memory: no port, no time. What is right here is tried on a tty elsewhere. */
import type { Exchange, Job, Reading, Turn } from '../../edge/drivers/driver.ts';
import { SerialFault } from '../../edge/drivers/fault.ts';

export const TURN: Turn = { startedAtMs: 1_606_230_000_000, heardAtMs: () => 1_606_230_000_000 };

/**
 * @param device what it says to what it is sent, in chunks; none: it stays silent
 * @throws what the job throws
 */
export function drive(job: Job, device: (sent: Uint8Array, exchange: Exchange) => Uint8Array[]): Reading[] {
  let step = job.next();
  while (!step.done) {
    const exchange = step.value;
    let answer: unknown;
    try {
      for (const chunk of device(exchange.send, exchange)) {
        answer = exchange.parser.push(chunk);
        if (answer !== undefined) break;
      }
      answer ??= exchange.parser.end?.();
    } catch (error) {
      step = job.throw(error);
      continue;
    }
    step =
      answer === undefined
        ? job.throw(new SerialFault(exchange.parser.begun ? 'corrupt' : 'no-answer', 'nothing that is an answer'))
        : job.next(answer);
  }
  return step.value;
}
