/**
 * Proves that there is no reading: a gap entry is the gateway's statement that it never took the counters of a range
 * and never will; the device's own neighbours on both sides show that nothing else lies between. If the gateway takes
 * one all the same, both statements are in its log, and whoever holds them can show that it lied.
 */
import { EdgeError } from './errors.ts';
import { GATEWAY_SUB, type Gap, parseGap } from './log/gap.ts';
import type { Opening } from './log/sealed.ts';
import { openClaim, readClaim, type Step } from './verify.ts';
import type { Envelope } from './wire/envelope.ts';

type Read = { index: number; envelope: Envelope };

const refuse = (why: string): never => {
  throw new EdgeError('RECEIPT_INVALID', why);
};

/** The gateway's name is the origin of its first log, and what those of its later ones begin with. */
const isOfGateway = (sub: string, origin: string): boolean =>
  sub === GATEWAY_SUB + origin ||
  (/\/\d+\/(?:\d+|unknown)-[0-9a-f]{16}$/.test(origin) && sub === GATEWAY_SUB + origin.replace(/\/\d+\/[^/]*$/, ''));

/**
 * What three receipts say together. Each of them must have been verified before, against the log with this origin.
 * @param receipts of the entry before the gap, of the gap entry, of the entry after it
 * @param openings of those that are sealed, in any order
 * @throws EdgeError RECEIPT_INVALID where they do not say that there is no reading between
 */
export function checkGap(
  receipts: readonly [Uint8Array, Uint8Array, Uint8Array],
  origin: string,
  openings: readonly Opening[] = [],
): Gap {
  const read = (receipt: Uint8Array): Read => {
    const claim = readClaim(receipt);
    const { index } = claim;
    const envelope = openClaim(claim, openings).envelope ?? refuse(`entry ${index} is sealed: its opening is needed`);
    return { index, envelope };
  };
  const [before, middle, after] = receipts.map(read) as [Read, Read, Read];
  if (!isOfGateway(middle.envelope.sub, origin))
    return refuse(`entry ${middle.index} is not by the gateway of ${origin}, but of ${middle.envelope.sub}`);
  const gap = parseGap(middle.envelope) ?? refuse(`entry ${middle.index} is no gap entry`);
  if (gap.reason !== 'lost')
    return refuse(`entry ${middle.index} says ${gap.reason}: there were readings, whose payloads are gone`);
  for (const { envelope, index } of [before, after])
    if (envelope.iss !== gap.did) return refuse(`entry ${index} is of ${envelope.iss}, the gap is of ${gap.did}`);
  const { epoch, seq } = before.envelope;
  // Each boot counts from 0, so before a gap at its start there is an earlier boot.
  if (gap.first === 0 ? epoch >= gap.epoch : epoch !== gap.epoch || seq !== gap.first - 1)
    return refuse(`counter ${epoch}/${seq} is not the one before ${gap.epoch}/${gap.first}`);
  if (after.envelope.epoch !== gap.epoch || after.envelope.seq !== gap.last + 1)
    return refuse(
      `counter ${after.envelope.epoch}/${after.envelope.seq} is not the one after ${gap.epoch}/${gap.last}`,
    );
  return gap;
}

/** As a step, to be said. @returns the name of the step where it failed */
export function verifyGap(
  receipts: readonly [Uint8Array, Uint8Array, Uint8Array],
  origin: string,
  say: (step: Step) => void,
  openings: readonly Opening[] = [],
): string | undefined {
  const name = 'no reading between';
  try {
    const { did, epoch, first, last } = checkGap(receipts, origin, openings);
    const count = last - first + 1;
    const counters =
      count === 1 ? `counter ${epoch}/${first}` : `the ${count} counters ${epoch}/${first} to ${epoch}/${last}`;
    say({ ok: true, name, detail: `no reading of ${did} has ${counters}` });
    return undefined;
  } catch (error) {
    say({ ok: false, name, detail: error instanceof EdgeError ? `${error.code}: ${error.detail}` : String(error) });
    return name;
  }
}
