/** A certificate's portable file, made of real envelopes in a real tree; and of lies, by a gateway that signs them. */
import { createHash } from 'node:crypto';
import { commitment } from '../../edge/chain/commitment.ts';
import { type CertificateFacts, issueCertificate, makeCertificate } from '../../edge/credits/certificate.ts';
import {
  type CertificateFile,
  type ClaimRecord,
  dayTokenId,
  encodeFile,
  type SignedFile,
  signFile,
} from '../../edge/credits/certificate-file.ts';
import { certificateId, gsrnOf } from '../../edge/credits/gsrn.ts';
import type { FlagName } from '../../edge/credits/types.ts';
import { encodeVerifierKey, signCheckpoint } from '../../edge/log/checkpoint.ts';
import { inclusionPath, leafHash, nodeHash, rootAt } from '../../edge/log/merkle.ts';
import { verifyCertificate } from '../../edge/verify-certificate.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { encodeEnvelope } from '../../edge/wire/envelope.ts';
import type { KeyType } from '../../edge/wire/keys.ts';
import type { SenmlRecord } from '../../edge/wire/senml.ts';
import { didOf, makeSigner, newSecretKey } from '../../firmware-sim/signer.ts';

export const HOUR = 3600;
/** 2026-11-24T03:00Z: noon in Sejong. */
export const SLOT = Date.UTC(2026, 10, 24, 3) / 1000;
const DAY = SLOT - (SLOT % 86_400);
export const ORIGIN = 'test.example/log';
export const SUB = 'urn:sejong:mp:plant-7';

const logSecret = new Uint8Array(createHash('sha256').update('log of the certificate rig').digest());
export const LOG_KEY = encodeVerifierKey(ORIGIN, publicKeyOf(logSecret));
const gatewayKey = {
  keyType: 'Ed25519' as const,
  secretKey: newSecretKey('Ed25519', 'gateway of the certificate rig'),
};
export const GATEWAY = { did: didOf(gatewayKey), sign: makeSigner(gatewayKey) };

export type Wanted = {
  shape?: 'reading' | 'profile';
  keyType?: KeyType;
  /** Registers at the two boundaries. */
  startWh?: number;
  endWh?: number;
  wh?: number;
  modulusWh?: number | null;
  flags?: FlagName[];
  version?: number;
  /** Wh of each. */
  claims?: number[];
  /** Bends the facts of the certificate, or the file around it, before the gateway signs. */
  facts?: (facts: CertificateFacts) => void;
  file?: (file: Omit<CertificateFile, 'format' | 'made'>) => void;
  /** Bends the envelopes before they go into the tree. */
  entries?: (entries: Uint8Array[]) => void;
};

const register = (v: number, t?: number): SenmlRecord => ({
  n: '1-0:2.8.0',
  u: 'Wh',
  v,
  ...(t === undefined ? {} : { t }),
});

export function makeFile(w: Wanted = {}): { file: SignedFile; bytes: Uint8Array; facts: CertificateFacts } {
  const { shape = 'reading', keyType = 'Ed25519', startWh = 1_000_412, endWh = 1_000_824, version = 0 } = w;
  const key = { keyType, secretKey: newSecretKey(keyType, 'meter of the certificate rig') };
  const device = didOf(key);
  const sign = makeSigner(key);
  const envelope = (iat: number, seq: number, records: SenmlRecord[]) =>
    encodeEnvelope({ iss: device, sub: SUB, iat, epoch: 1, seq }, records, sign);
  const hour = (SLOT - DAY) / HOUR;
  const profile = Array.from({ length: 25 }, (_, h) => register(h <= hour ? startWh : endWh, DAY + h * HOUR));
  const made =
    shape === 'profile'
      ? [envelope(DAY + 86_400 + 30, 9, profile)]
      : [
          envelope(SLOT + 11, 7, [register(startWh), { n: '1-0:16.7.0', u: 'W', v: 300 }]),
          envelope(SLOT + HOUR - 7, 8, [register(endWh)]),
        ];
  w.entries?.(made);
  const others = Array.from({ length: 300 }, (_, i) => Buffer.from(`entry ${i} of somebody else`));
  const indexes = shape === 'profile' ? [41] : [41, 263];
  made.forEach((bytes, i) => {
    others[indexes[i] as number] = Buffer.from(bytes);
  });
  const node = (level: number, index: number): Uint8Array =>
    level === 0
      ? leafHash(others[index] as Buffer)
      : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
  const size = others.length;
  const root = rootAt(size, node);
  const gsrn = gsrnOf(SUB);
  const pointId = commitment(SUB);
  const facts: CertificateFacts = {
    id: certificateId(gsrn, SLOT, version),
    version,
    supersedes: version === 0 ? null : certificateId(gsrn, SLOT, version - 1),
    issuer: GATEWAY.did,
    madeMs: (SLOT + 2 * HOUR) * 1000,
    pointId,
    gsrn,
    device,
    registerEpoch: 1,
    shape,
    slot: SLOT,
    wh: w.wh ?? endWh - startWh,
    start: { iat: SLOT + 11, wh: startWh, entry: indexes[0] as number },
    end: { iat: SLOT + HOUR - 7, wh: endWh, entry: indexes.at(-1) as number },
    modulusWh: w.modulusWh ?? null,
    clock: 'synced',
    log: { origin: ORIGIN, size, root },
    plant: { storage: false, energySource: 'solar', capacityW: 3000, area: 'KR-50' },
    flags: (w.flags ?? []).map((flag) => ({ flag, evidence: { byWh: 1.5 } })),
    weight: null,
  };
  w.facts?.(facts);
  const token = dayTokenId(pointId, DAY / 86_400, version);
  const where = { chainId: 31_337, contract: `0x${'c1'.repeat(20)}` };
  const claim = (wh: number, i: number): ClaimRecord => ({
    ...where,
    transaction: `0x${(i + 1).toString(16).padStart(64, '0')}`,
    block: 40 + i,
    holder: `0x${'a1'.repeat(20)}`,
    id: token,
    slot: SLOT,
    wh,
    purpose: 'k-re100',
    beneficiary: `0x${'be'.repeat(32)}`,
    recipient: '',
  });
  const body: Omit<CertificateFile, 'format' | 'made'> = {
    credential: issueCertificate(makeCertificate(facts), GATEWAY),
    entries: made.map((bytes, i) => ({
      index: indexes[i] as number,
      entry: Buffer.from(bytes).toString('base64'),
      path: inclusionPath(indexes[i] as number, size, node).map((h) => Buffer.from(h).toString('base64')),
    })),
    log: {
      key: LOG_KEY,
      checkpoint: signCheckpoint({ origin: ORIGIN, size, root }, publicKeyOf(logSecret), (m) =>
        signEd25519(m, logSecret),
      ),
    },
    anchor: { chainId: 31_337, contract: `0x${'aa'.repeat(20)}`, transaction: `0x${'0a'.repeat(32)}`, block: 12 },
    mint: {
      ...where,
      transaction: `0x${'0b'.repeat(32)}`,
      block: 13,
      id: token,
      meteringPoint: pointId,
      device: commitment(device),
      owner: `0x${'a1'.repeat(20)}`,
      firstSlot: SLOT - HOUR,
      minted: 100 + facts.wh,
      debited: 0,
      startRegister: startWh - 100,
      endRegister: endWh,
      amounts: [100, facts.wh],
    },
    claims: (w.claims ?? [12, 300]).map(claim),
  };
  w.file?.(body);
  const file = signFile(body, GATEWAY, facts.madeMs + 5000);
  return { file, bytes: encodeFile(file), facts };
}

/** The step that failed, and all that was said. */
export async function steps(
  bytes: Uint8Array,
  pinned: { issuer?: string; key?: string } = {},
): Promise<{ failed: string | undefined; said: string[]; lines: string[] }> {
  const said: string[] = [];
  const lines: string[] = [];
  const failed = await verifyCertificate(bytes, pinned, [], ({ name, detail }) => {
    said.push(name);
    lines.push(`${name}: ${detail}`);
  });
  return { failed, said, lines };
}
