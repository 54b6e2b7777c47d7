/** Both sides of witnessing, built from the config: the witnesses of our log, and this gateway as a witness of others. */
import type { ApiParts } from './api/parts.ts';
import type { Config } from './config.ts';
import { EdgeError } from './errors.ts';
import type { Identity } from './identity.ts';
import { parseVerifierKey, type VerifierKey } from './log/checkpoint.ts';
import type { Checkpointer } from './log/checkpointer.ts';
import type { Log } from './log/log.ts';
import type { Store } from './store/store.ts';
import { publicKeyOf, signEd25519 } from './wire/ed25519.ts';
import { type TrustedLog, Witness } from './witness/witness.ts';
import { Witnesses } from './witness/witnesses.ts';

export type Witnessing = { witness: Witness; witnesses: Witnesses };

export const witnessName = ({ log, witness }: Config): string => witness.name || `${log.origin}/witness`;

/** The verifier keys in the config, read. @throws EdgeError CONFIG_INVALID */
export function checkKeys({ log, witness }: Config): { witnesses: VerifierKey[]; logs: TrustedLog[] } {
  const parse = (where: string, text: string, type: 'log' | 'witness'): VerifierKey => {
    try {
      return parseVerifierKey(text, type);
    } catch (error) {
      throw new EdgeError('CONFIG_INVALID', `${where}: ${(error as EdgeError).detail}`);
    }
  };
  const witnesses = log.witnesses.map(({ key }, i) => parse(`log.witnesses.${i}.key`, key, 'witness'));
  // Whoever has one key has one vote (tlog-policy), whatever names it goes by.
  const seen = new Set<string>();
  for (const [i, { publicKey }] of witnesses.entries()) {
    const hex = Buffer.from(publicKey).toString('hex');
    if (seen.has(hex)) throw new EdgeError('CONFIG_INVALID', `log.witnesses.${i}.key is there twice`);
    seen.add(hex);
  }
  const logs = witness.logs.map(({ key, origin }, i) => {
    const parsed = parse(`witness.logs.${i}.key`, key, 'log');
    return { origin: origin || parsed.name, key: parsed };
  });
  return { witnesses, logs };
}

/** @throws EdgeError CONFIG_INVALID */
export function startWitnessing(
  config: Config,
  identity: Identity,
  log: Log,
  store: Store,
  checkpointer: Checkpointer,
  onCosigned: () => void,
  report: (line: string) => void,
): Witnessing {
  const { logs } = checkKeys(config);
  const witness = new Witness(store, {
    name: witnessName(config),
    publicKey: publicKeyOf(identity.witnessKey),
    sign: (message) => signEd25519(message, identity.witnessKey),
    logs,
    maxRate: config.witness.maxRate,
    nowMs: Date.now,
    report,
  });
  const witnesses = new Witnesses(log, {
    witnesses: config.log.witnesses,
    quorum: config.log.quorum,
    timeoutSeconds: config.log.witnessTimeoutSeconds,
    retrySeconds: config.log.witnessRetrySeconds,
    chain: config.chain.mode !== 'none',
    allowSigning: (held) => checkpointer.hold('witnesses', held),
    report,
    onCosigned,
  });
  witnesses.start();
  return { witness, witnesses };
}

/** What the API needs of both. */
export const witnessParts = (
  { witness, witnesses }: Witnessing,
  log: Log,
): Pick<ApiParts, 'witness' | 'witnesses'> => ({
  witness: {
    verifierKey: witness.verifierKey,
    addCheckpoint: (body) => witness.addCheckpoint(body),
    evidence: (limit, before) => witness.evidence.list(limit, before),
  },
  witnesses: {
    cosigned: (size) => witnesses.cosigned(size),
    view: () => {
      const size = log.latest?.size ?? 0;
      return {
        quorum: witnesses.quorum,
        size,
        cosigned: witnesses.cosigned(size),
        unwitnessed: witnesses.unwitnessed,
        witnessedSize: witnesses.witnessedSize,
        witnesses: witnesses.state().map((w) => ({ ...w, problem: w.problem ?? null })),
      };
    },
  },
});
