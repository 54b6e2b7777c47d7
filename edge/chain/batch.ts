/** Certificates that are minted together, and the call that does it, made of what devices have signed. */
import type { Hex } from 'viem';
import { EdgeError, errorLine } from '../errors.ts';
import { type Billed, billedOf } from '../wire/boundary.ts';
import { decodeEnvelope, type Envelope } from '../wire/envelope.ts';
import { originId } from './contract.ts';
import { type LogProof, mintData, mintDayData, mintResidualData, type ReadingFields } from './credits-contract.ts';

/** Certificates that go together: readings of one device, hour by hour, of one UTC day; or a day profile; or a gap. */
export type Batch = {
  kind: 'slots' | 'day' | 'residual';
  /** DID of the device, URN of the metering point, and its commitment. */
  iss: string;
  sub: string;
  point: Hex;
  /** First seconds of the slots; of a residual, its first second and the first after it. */
  slots: readonly number[];
  /** Indexes of the entries, in the order of time. */
  entries: readonly number[];
};

/** What is asked of the log. */
export type LogPart = {
  origin: string;
  /** Empty where it is not kept any more. */
  envelope: (index: number) => Uint8Array;
  /** For rising indexes. */
  proof: (indexes: readonly number[], size: number) => Uint8Array[];
};

/**
 * @param size entries under an anchored root @param text what it is, for people
 * @throws EdgeError CREDIT_REFUSED where it cannot be made of what is in the log
 */
export function dataOf(batch: Batch, size: number, text: string, log: LogPart): Hex {
  try {
    return encode(batch, size, log);
  } catch (error) {
    throw new EdgeError('CREDIT_REFUSED', `${text}: ${errorLine(error)}`, { cause: error });
  }
}

function encode(batch: Batch, size: number, { envelope, proof, origin }: LogPart): Hex {
  const entries = batch.entries.map((index) => {
    const bytes = envelope(index);
    const decoded = bytes.length > 0 ? decodeEnvelope(bytes) : undefined;
    const billed = decoded && billedOf(decoded);
    if (!billed) throw new EdgeError('CREDIT_INVALID', `entry ${index} is not kept any more, or bills nothing`);
    return { index, decoded, billed };
  });
  const sorted = [...new Set(batch.entries)].sort((a, b) => a - b);
  const of: LogProof = { origin: originId(origin), size, nodes: proof(sorted, size) };
  const [first, second] = entries;
  if (batch.kind === 'day' && first?.billed.shape === 'profile') {
    const { day, registersWh } = first.billed;
    return mintDayData(batch.iss, batch.sub, { ...common(first), day, registersWh }, of);
  }
  if (batch.kind === 'residual' && first && second)
    return mintResidualData(batch.iss, batch.sub, [fields(first), fields(second)], of);
  return mintData(batch.iss, batch.sub, entries.map(fields), of);
}

type Entry = { index: number; decoded: Envelope; billed: Billed };

const common = ({ index, decoded }: Entry) => {
  const { iat, epoch, seq, alg, signature } = decoded;
  return { index, iat, epoch, seq, alg, signature };
};

function fields(entry: Entry): ReadingFields {
  const { billed } = entry;
  if (billed.shape !== 'reading') throw new EdgeError('CREDIT_INVALID', `entry ${entry.index} is not a single reading`);
  return { ...common(entry), registerWh: billed.registerWh, powerW: billed.powerW };
}

/** By which a batch is known again. */
export const keyOf = ({ kind, point, slots }: Batch): string => `${kind} ${point} ${slots.join(' ')}`;

const hour = (second: number): string => `${new Date(second * 1000).toISOString().slice(0, 13)}Z`;
export const textOf = ({ kind, sub, slots }: Batch): string =>
  kind === 'residual'
    ? `the residual of ${sub} from ${hour(slots[0] as number)} to ${hour(slots[1] as number)}`
    : `${slots.length} certificate${slots.length === 1 ? '' : 's'} of ${sub} from ${hour(slots[0] as number)} on`;
