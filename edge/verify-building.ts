/**
 * The evidence of a building, verified without the gateway: each register from its receipt, then the sums again. Its JSON
 * may be spaced as one likes: the proof is over the canonical form.
 */
import {
  BUILDING_CREDENTIAL,
  type BuildingEvidence,
  type BuildingReport,
  buildingReport,
  type RegisterView,
} from './credits/building.ts';
import { EdgeError } from './errors.ts';
import { openClaim, readClaim, type Step, verifyReceipt } from './verify.ts';
import type { Envelope } from './wire/envelope.ts';
import { canonicalJson, parseStrictJson } from './wire/vc/jcs.ts';
import { verifyProof } from './wire/vc/proof.ts';

const MAX_EVIDENCE = 16 * 1024 * 1024;

const invalid = (why: string): never => {
  throw new EdgeError('CREDIT_INVALID', why);
};

/** Whether bytes look like such evidence, and not like a certificate. */
export const looksLikeBuilding = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes).includes(`"${BUILDING_CREDENTIAL}"`);

/**
 * @param key the log's verifier key
 * @param issuer the gateway's DID, where the auditor knows it
 * @returns the name of the first step that failed, undefined when all hold
 */
export async function verifyBuilding(
  bytes: Uint8Array,
  { key, issuer }: { key: string; issuer?: string | undefined },
  say: (step: Step) => void,
): Promise<string | undefined> {
  let evidence!: BuildingEvidence;
  const envelopes = new Map<number, Envelope>();
  const steps: [string, () => string | Promise<string>][] = [
    [
      'report format',
      () => {
        const value = parseStrictJson(bytes, MAX_EVIDENCE) as unknown as BuildingEvidence;
        if (!Array.isArray(value?.receipts) || !Array.isArray(value.credentialSubject?.generation))
          invalid('it is no evidence of a building');
        evidence = value;
        const { period } = evidence.credentialSubject;
        return `${period?.from} to ${period?.until}, ${evidence.receipts.length} receipts`;
      },
    ],
    [
      'receipts',
      async () => {
        for (const receipt of evidence.receipts) {
          const text = JSON.stringify(receipt);
          const failed = await verifyReceipt(text, key, undefined, () => undefined);
          if (failed !== undefined) invalid(`entry ${receipt.index}: ${failed}`);
          const { envelope } = openClaim(readClaim(Buffer.from(text)));
          if (envelope) envelopes.set(receipt.index, envelope);
        }
        return `${envelopes.size}, each signed by its meter and in the log`;
      },
    ],
    ['registers', () => checkRegisters(evidence.credentialSubject, envelopes)],
    ['sums', () => checkSums(evidence.credentialSubject)],
    [
      'report proof',
      () => {
        if (issuer !== undefined && issuer !== evidence.issuer) invalid(`it is by ${evidence.issuer}`);
        verifyProof(evidence, { did: evidence.issuer, purpose: 'assertionMethod' });
        return `by ${evidence.issuer}${issuer === undefined ? ', as the file has it' : ''}`;
      },
    ],
  ];
  for (const [name, step] of steps)
    try {
      say({ ok: true, name, detail: await step() });
    } catch (error) {
      const { message } = error as Error;
      const detail = error instanceof EdgeError ? `${error.code}: ${error.detail}` : (message.split('\n')[0] as string);
      say({ ok: false, name, detail });
      return name;
    }
  return undefined;
}

const registersOf = (report: BuildingReport): RegisterView[] => [
  ...report.generation,
  report.import,
  ...(report.export ? [report.export] : []),
];

/** Times of a record below 2^28 are offsets to that of the envelope (RFC 8428 section 4.5.3). */
const ABSOLUTE = 2 ** 28;

function checkRegisters(report: BuildingReport, envelopes: ReadonlyMap<number, Envelope>): string {
  const registers = registersOf(report);
  const named = registers.map(({ meteringPoint, obis }) => `${meteringPoint} ${obis}`);
  if (new Set(named).size < named.length) invalid('a register counts twice');
  for (const { meteringPoint, device, obis, start, end } of registers)
    for (const { read, wh, entry } of [start, end]) {
      const envelope = envelopes.get(entry);
      if (envelope?.iss !== device || envelope.sub !== meteringPoint)
        return invalid(`entry ${entry} is not of ${device} at ${meteringPoint}`);
      const { iat, records } = envelope;
      const at = Date.parse(read) / 1000;
      const said = records.some(
        ({ n, u, v, t = 0 }) => n === obis && u === 'Wh' && v === wh && (t >= ABSOLUTE ? t : iat + t) === at,
      );
      if (!said) invalid(`entry ${entry} does not say ${wh} Wh (${obis}) at ${read}`);
    }
  return named.join(', ');
}

/** Made again of the registers alone. */
function checkSums(report: BuildingReport): string {
  const again = (r: RegisterView) => {
    const reading = ({ read, wh, entry }: RegisterView['start']) => ({
      ...{ device: r.device, registerWh: wh, entry, iat: Date.parse(read) / 1000 },
    });
    return { ...r, start: reading(r.start), end: reading(r.end) };
  };
  const made = buildingReport({
    from: Date.parse(report.period.from) / 1000,
    until: Date.parse(report.period.until) / 1000,
    generation: report.generation.map(again),
    import: again(report.import),
    export: report.export ? again(report.export) : undefined,
    receipts: [],
  });
  if (!Buffer.from(canonicalJson(made)).equals(canonicalJson(report))) invalid('its registers come to something else');
  const { ownUseWh, consumptionWh, selfSufficiency } = made;
  return `own use ${ownUseWh} of ${consumptionWh} Wh: ${selfSufficiency}`;
}
