/**
 * The verifier as one file without dependencies, for programs that are not this project's: flows/lib/verify.cjs is this
 * module, bundled for Node 18 and later (edge/console-bundle.ts).
 */
import type { EdgeError } from '../../errors.ts';
import { parseVerifierKey } from '../../log/checkpoint.ts';
import { detailOf, type Quorum, runSteps, type Step } from '../../verify.ts';
import { utf8Bytes } from '../../wire/bytes.ts';
import { type Kind, kindOf, planFiles } from './file.ts';

export type Options = {
  /** The log's verifier key, as GET /log/key answers it. */
  key: string;
  /** A node of the chain, and the Anchors contract on it; without it no chain is asked. */
  chain?: { rpc: string; contract: string };
  /** Answers of GET /entries/{index}/opening, parsed or as text: what sealed entries are over. */
  openings?: readonly (object | string)[];
  /** The envelope, for a COSE receipt as devices get it. */
  entry?: Uint8Array;
  /** Verifier keys of witnesses, and how many of them must have cosigned. */
  witnesses?: Quorum;
};

export type Verdict = {
  ok: boolean;
  /** Name of the step that failed. */
  failed: string | null;
  kind: 'receipt' | 'certificate' | 'bundle' | 'checkpoint';
  format: Kind;
  /** Of a receipt, as soon as its format could be read. */
  index: number | null;
  steps: { name: string; state: 'ok' | 'failed' | 'not reached'; detail: string }[];
  /** What the entry says: to be believed where `ok`. Null where it is sealed and not opened, or can't be read. */
  reading: {
    did: string;
    sub: string;
    /** Unix seconds, by the device's clock. */
    iat: number;
    epoch: number;
    seq: number;
    /** As GET /entries has them: `vd` in base64. */
    records: { n: string; u?: string; t?: number; v?: number; vs?: string; vb?: boolean; vd?: string }[];
  } | null;
};

const bytesOf = (file: Uint8Array | string | object): Uint8Array =>
  file instanceof Uint8Array ? file : utf8Bytes(typeof file === 'string' ? file : JSON.stringify(file));

/**
 * Verifies a receipt in any of the four formats, the portable file of a certificate, a bundle of receipts, or a checkpoint.
 * @param file bytes, text, or the JSON of a receipt or calldata as it was parsed. The file of a certificate must be its
 *   own bytes or text: it has one spelling
 * @returns resolves also where the file is not good: the verdict says which step failed, and why
 * @throws {TypeError} where the options can't be used, which is no matter of the file: no key, a key that is none, an
 *   address that is none
 */
export async function verify(file: Uint8Array | string | object, options: Options): Promise<Verdict> {
  const { key, chain, openings = [], entry, witnesses } = options ?? {};
  if (typeof key !== 'string') throw new TypeError('options.key is not the verifier key of a log (GET /log/key)');
  try {
    parseVerifierKey(key);
    for (const witness of witnesses?.keys ?? []) parseVerifierKey(witness, 'witness');
  } catch (error) {
    throw new TypeError((error as EdgeError).detail);
  }
  if (chain && !/^0x[0-9a-fA-F]{40}$/.test(chain.contract)) throw new TypeError('chain.contract is not an address');
  if (chain && !/^https?:/.test(chain.rpc)) throw new TypeError('chain.rpc is not an http or https URL');
  const bytes = bytesOf(file);
  const format = kindOf(bytes);
  const kind = format === 'certificate' || format === 'bundle' || format === 'checkpoint' ? format : 'receipt';
  const given = [
    { name: 'file', bytes },
    ...openings.map((opening) => ({ name: 'opening', bytes: bytesOf(opening) })),
    ...(entry ? [{ name: 'entry', bytes: entry }] : []),
  ];
  let groups: ReturnType<typeof planFiles>;
  try {
    groups = planFiles(given, { key, chain, witnesses });
  } catch (error) {
    const failed = `${kind} format`;
    const steps = [{ name: failed, state: 'failed' as const, detail: detailOf(error) }];
    return { ok: false, failed, kind, format, index: null, steps, reading: null };
  }
  const { steps, found } = groups[0] as (typeof groups)[number];
  const said = new Map<string, Step>();
  const failed = await runSteps(steps, (step) => said.set(step.name, step));
  const { envelope, claim } = found;
  return {
    ok: failed === undefined,
    failed: failed ?? null,
    kind,
    format,
    index: claim?.index ?? null,
    steps: reported(steps, said, failed),
    reading: envelope
      ? {
          did: envelope.iss,
          sub: envelope.sub,
          iat: envelope.iat,
          epoch: envelope.epoch,
          seq: envelope.seq,
          records: envelope.records.map(({ vd, ...record }) => ({
            ...record,
            ...(vd ? { vd: Buffer.from(vd).toString('base64') } : {}),
          })),
        }
      : null,
  };
}

/** A step before the end that said nothing had nothing to check: a signature of what is sealed, say. */
function reported(
  steps: readonly { name: string }[],
  said: ReadonlyMap<string, Step>,
  failed: string | undefined,
): Verdict['steps'] {
  const end = failed === undefined ? steps.length : steps.findIndex(({ name }) => name === failed);
  return steps.flatMap(({ name }, i): Verdict['steps'] => {
    const step = said.get(name);
    if (step) return [{ name, state: step.ok ? 'ok' : 'failed', detail: step.detail }];
    return i > end ? [{ name, state: 'not reached', detail: '' }] : [];
  });
}
