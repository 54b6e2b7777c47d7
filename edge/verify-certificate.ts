/**
 * What an auditor does with the portable file of a certificate: from the claim back to the meter's signature, a step at
 * a time. Nothing of the gateway is needed. Whom to believe about which key is the gateway's is the auditor's: without
 * `issuer` and `key` the file's own are taken, and said.
 */
import { commitment } from './chain/commitment.ts';
import { mostWh } from './credits/cap.ts';
import { asCertificateCredential, type Certificate, verifyCertificateProof } from './credits/certificate.ts';
import { bytesOf, dayTokenId, parseFile, type SignedFile, verifyFileProof } from './credits/certificate-file.ts';
import { certificateId, gsrnOf } from './credits/gsrn.ts';
import { NEAR } from './credits/time.ts';
import { EdgeError } from './errors.ts';
import { type Checkpoint, openCheckpoint, parseVerifierKey } from './log/checkpoint.ts';
import { leafHash, verifyInclusion } from './log/merkle.ts';
import { type PlannedStep, runSteps, type Step } from './verify.ts';
import { billedOf, DAY, HOUR } from './wire/boundary.ts';
import { decodeEnvelope, type Envelope } from './wire/envelope.ts';
import { verifyEnvelope } from './wire/verify.ts';

/** What is looked up on the chain, where there is one to ask. @throws EdgeError */
export type ChainCheck = { name: string; run: (file: SignedFile, checkpoint: Checkpoint) => Promise<string> };

const invalid = (why: string): never => {
  throw new EdgeError('CREDIT_INVALID', why);
};
const secondsOf = (time: string): number => Date.parse(time) / 1000;
const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/**
 * @param pinned `issuer`: the gateway's DID, `key`: the log's verifier key, where the auditor knows them
 * @returns the name of the first step that failed, undefined when all hold
 */
export const verifyCertificate = (
  bytes: Uint8Array,
  pinned: Pinned,
  chain: readonly ChainCheck[],
  say: (step: Step) => void,
): Promise<string | undefined> => runSteps(certificateSteps(bytes, pinned, chain).steps, say);

export type Pinned = { issuer?: string | undefined; key?: string | undefined };

/** The steps of {@link verifyCertificate}, to be run in their order; `found` fills while they are. */
export function certificateSteps(
  bytes: Uint8Array,
  pinned: Pinned,
  chain: readonly ChainCheck[],
): { steps: PlannedStep[]; found: { file?: SignedFile } } {
  const found: { file?: SignedFile } = {};
  let file!: SignedFile;
  let certificate!: Certificate;
  let checkpoint!: Checkpoint;
  const envelopes: Envelope[] = [];
  const steps: PlannedStep[] = [
    {
      name: 'file format',
      run: (show) => {
        show('file', bytes);
        file = parseFile(bytes);
        found.file = file;
        certificate = asCertificateCredential(file.credential).credentialSubject;
        const { identity, energy, slot } = certificate;
        return `${identity.id}: ${energy.wh} Wh of ${slot.start}, ${file.claims.length} claims`;
      },
    },
    { name: 'claims', run: () => checkClaims(file, certificate) },
    { name: 'token', run: () => checkToken(file, certificate) },
    { name: 'mint event', run: () => checkMint(file, certificate) },
    { name: 'slot', run: () => checkSlot(certificate) },
    { name: 'registers', run: () => checkRegisters(certificate) },
    { name: 'cap', run: () => checkCap(certificate) },
    {
      name: 'envelopes',
      run: (show) => {
        for (const { entry } of file.entries) {
          show('envelope', bytesOf(entry));
          envelopes.push(decodeEnvelope(bytesOf(entry)));
        }
        return checkEnvelopes(file, certificate, envelopes);
      },
    },
    {
      name: 'device signatures',
      run: (show) => {
        for (const envelope of envelopes) {
          show('signed', envelope.signed);
          show('signature', envelope.signature);
          verifyEnvelope(envelope);
        }
        return `${envelopes.length === 1 ? 'the profile' : 'both readings'} by ${certificate.meter.device}`;
      },
    },
    {
      name: 'checkpoint signature',
      run: (show) => {
        const key = parseVerifierKey(pinned.key ?? file.log.key);
        if (pinned.key !== undefined && pinned.key.trim() !== file.log.key)
          invalid(`it is of the log with the key ${file.log.key}`);
        show('verifier key', pinned.key?.trim() ?? file.log.key);
        show('note', file.log.checkpoint);
        checkpoint = openCheckpoint(file.log.checkpoint, key);
        const { log } = certificate.meter;
        if (checkpoint.origin !== key.name) invalid(`the checkpoint is of ${checkpoint.origin}`);
        if (
          log?.origin !== checkpoint.origin ||
          log.size !== checkpoint.size ||
          log.root !== Buffer.from(checkpoint.root).toString('base64')
        )
          invalid('the certificate names another root than the checkpoint');
        return `by ${checkpoint.origin}, ${checkpoint.size} entries${pinned.key === undefined ? `; its key as the file has it: ${file.log.key}` : ''}`;
      },
    },
    {
      name: 'inclusion',
      run: (show) => {
        for (const { index, entry, path } of file.entries) {
          show('leaf hash', leafHash(bytesOf(entry)));
          for (const hash of path) show('path', bytesOf(hash));
          if (!verifyInclusion(leafHash(bytesOf(entry)), index, checkpoint.size, path.map(bytesOf), checkpoint.root))
            invalid(`the path does not lead from entry ${index} to the root of ${checkpoint.size} entries`);
        }
        show('root', checkpoint.root);
        return `${file.entries.map(({ index }) => `entry ${index}`).join(' and ')} in the tree of ${checkpoint.size} entries`;
      },
    },
    {
      name: 'certificate proof',
      run: () => {
        if (pinned.issuer !== undefined && pinned.issuer !== file.credential.issuer)
          invalid(`it is by ${file.credential.issuer}`);
        verifyCertificateProof(file.credential);
        return `by ${file.credential.issuer}${pinned.issuer === undefined ? ', as the file has it' : ''}`;
      },
    },
    {
      name: 'file proof',
      run: () => {
        verifyFileProof(file);
        return `the gateway put it together at ${file.made}`;
      },
    },
    ...chain.map(({ name, run }): PlannedStep => ({ name, run: () => run(file, checkpoint) })),
  ];
  return { steps, found };
}

const versionsOf = ({ identity, meter, slot }: Certificate) =>
  Array.from({ length: identity.version + 1 }, (_, version) =>
    dayTokenId(meter.meteringPoint, Math.floor(secondsOf(slot.start) / DAY), version),
  );

/** Claims of a slot stay when it is corrected, so those of earlier versions count too. */
function checkClaims(file: SignedFile, certificate: Certificate): string {
  const { slot, energy, identity } = certificate;
  if (file.claims.length === 0) return 'none so far';
  const ids = versionsOf(certificate);
  const seen = new Set<string>();
  for (const claim of file.claims) {
    if (claim.slot !== secondsOf(slot.start)) invalid(`a claim is of another slot (${claim.slot})`);
    if (!ids.includes(claim.id)) invalid(`a claim is of another token (${claim.id})`);
    if (claim.chainId !== file.mint.chainId || !same(claim.contract, file.mint.contract))
      invalid('a claim is of another contract');
    if (claim.purpose === 'donation' && claim.recipient === '') invalid('a donation names no recipient');
    seen.add(claim.transaction);
  }
  const claimed = file.claims.reduce((sum, { wh }) => sum + wh, 0);
  if (claimed > energy.wh) {
    if (identity.version === 0) invalid(`${claimed} Wh are claimed of ${energy.wh}`);
    return `${claimed} Wh, more than the corrected ${energy.wh}: the rest is taken off coming slots`;
  }
  return `${claimed} of ${energy.wh} Wh, in ${seen.size} transactions`;
}

function checkToken(file: SignedFile, { meter, identity, slot }: Certificate): string {
  const start = secondsOf(slot.start);
  const id = dayTokenId(meter.meteringPoint, Math.floor(start / DAY), identity.version);
  if (file.mint.id !== id) invalid(`the token of this metering point, day and version is ${id}, not ${file.mint.id}`);
  if (identity.id !== certificateId(meter.gsrn, start, identity.version))
    invalid(`${identity.id} is of something else`);
  const before = identity.version === 0 ? null : certificateId(meter.gsrn, start, identity.version - 1);
  if (identity.supersedes !== before) invalid(`it supersedes ${identity.supersedes}, not ${before}`);
  return `${id}: metering point, ${slot.start.slice(0, 10)}, version ${identity.version}`;
}

function checkMint({ mint }: SignedFile, { meter, slot, energy }: Certificate): string {
  if (mint.meteringPoint !== meter.meteringPoint) invalid(`it is of the metering point ${mint.meteringPoint}`);
  if (mint.device !== commitment(meter.device)) invalid(`it is of another device (${mint.device})`);
  const at = (secondsOf(slot.start) - mint.firstSlot) / HOUR;
  const amount = mint.amounts[at];
  if (amount === undefined) invalid(`it is of ${mint.amounts.length} hours from ${mint.firstSlot} on`);
  if (amount !== energy.wh) invalid(`it certified ${amount} Wh of the slot, not ${energy.wh}`);
  const total = mint.amounts.reduce((sum, wh) => sum + wh, 0);
  if (total !== mint.minted) invalid(`its slots add up to ${total} Wh, not ${mint.minted}`);
  if (mint.debited > mint.minted) invalid(`${mint.debited} Wh were taken off ${mint.minted}`);
  return `${amount} of ${mint.minted} Wh of transaction ${mint.transaction}, to ${mint.owner}`;
}

function checkSlot({ slot, meter }: Certificate): string {
  const start = secondsOf(slot.start);
  if (start % HOUR !== 0 || secondsOf(slot.end) !== start + HOUR) invalid(`${slot.start} to ${slot.end} is no slot`);
  const off: number[] = [];
  for (const [boundary, reading] of [
    [start, meter.start],
    [start + HOUR, meter.end],
  ] as const) {
    if (secondsOf(reading.boundary) !== boundary) invalid(`${reading.boundary} is not a boundary of the slot`);
    off.push(secondsOf(reading.read) - boundary);
  }
  if (off.some((seconds) => !(Math.abs(seconds) <= NEAR))) invalid(`read ${off.join(' s and ')} s off the hour`);
  return `${slot.start} to ${slot.end}, read ${off.map((s) => `${s < 0 ? '' : '+'}${s} s`).join(' and ')} off the hour`;
}

function checkRegisters({ meter, energy, flow }: Certificate): string {
  const [before, after] = [meter.start.wh, meter.end.wh];
  const { modulusWh } = meter;
  const rollover = after < before;
  if (rollover !== flow.flags.some(({ flag }) => flag === 'rollover'))
    invalid('whether the register began anew is not as the flags say');
  if (!rollover) {
    if (after - before !== energy.wh) invalid(`${after} - ${before} = ${after - before} Wh, not ${energy.wh}`);
    return `${after} - ${before} = ${energy.wh} Wh (${meter.register})`;
  }
  if (modulusWh === null) return invalid(`the register fell from ${before} to ${after}, and has no modulus`);
  for (const wh of [before, after])
    if (wh >= modulusWh) invalid(`a register of ${wh} Wh is not below its modulus ${modulusWh}`);
  const wh = modulusWh - before + after;
  if (wh !== energy.wh) invalid(`${modulusWh} - ${before} + ${after} = ${wh} Wh, not ${energy.wh}`);
  return `${modulusWh} - ${before} + ${after} = ${wh} Wh (${meter.register}, rollover)`;
}

/** The time is that between the two readings, as the contract counts it; in a day profile the hour. */
function checkCap({ plant, energy, meter }: Certificate): string {
  if (plant.capacityW === null) return invalid('the rated power of the plant is not known');
  const seconds = meter.shape === 'profile' ? HOUR : secondsOf(meter.end.read) - secondsOf(meter.start.read);
  const most = mostWh(plant.capacityW, Math.max(0, seconds));
  if (energy.wh > most)
    invalid(`${energy.wh} Wh, and a plant of ${plant.capacityW} W makes ${most} in ${seconds} s at most`);
  return `${energy.wh} Wh, and ${plant.capacityW} W make ${most} in ${seconds} s at most`;
}

function checkEnvelopes(file: SignedFile, { meter, slot }: Certificate, envelopes: readonly Envelope[]): string {
  const start = secondsOf(slot.start);
  const indexes = file.entries.map(({ index }) => index).join(' and ');
  const expected = meter.shape === 'profile' ? `${meter.start.entry}` : `${meter.start.entry} and ${meter.end.entry}`;
  if (indexes !== expected || (meter.shape === 'profile' && meter.end.entry !== meter.start.entry))
    invalid(`entries ${indexes}, and the certificate is made of ${expected}`);
  for (const [i, envelope] of envelopes.entries()) {
    if (envelope.iss !== meter.device) invalid(`entry ${file.entries[i]?.index} is of ${envelope.iss}`);
    if (commitment(envelope.sub) !== meter.meteringPoint || gsrnOf(envelope.sub) !== meter.gsrn)
      invalid(`entry ${file.entries[i]?.index} is of ${envelope.sub}`);
  }
  const said = meter.shape === 'profile' ? ofProfile(envelopes[0], start) : envelopes.map(ofReading);
  for (const [i, reading] of [meter.start, meter.end].entries())
    if (said[i]?.wh !== reading.wh || said[i]?.read !== secondsOf(reading.read))
      invalid(`entry ${reading.entry} says ${said[i]?.wh} Wh, read at ${said[i]?.read}`);
  return `${envelopes[0]?.sub}: ${said.map((s) => `${s?.wh} Wh`).join(', ')}`;
}

type Said = { wh: number; read: number } | undefined;

function ofReading(envelope: Envelope): Said {
  const billed = billedOf(envelope);
  return billed?.shape === 'reading' ? { wh: billed.registerWh, read: envelope.iat } : undefined;
}

function ofProfile(envelope: Envelope | undefined, start: number): Said[] {
  const billed = envelope && billedOf(envelope);
  if (billed?.shape !== 'profile' || billed.day !== Math.floor(start / DAY)) return [];
  const hour = (start % DAY) / HOUR;
  return [hour, hour + 1].map((h) => ({ wh: billed.registersWh[h] as number, read: billed.day * DAY + h * HOUR }));
}
