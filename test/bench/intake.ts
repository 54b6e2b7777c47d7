/** Envelopes accepted a second, and how long a PUBACK takes, beside the machine's limit and beside bare aedes. */
import type { ChildProcess } from 'node:child_process';
import { verifyInPool, verifyKey } from '../../edge/intake/verify.ts';
import { decodeDid } from '../../edge/wire/did.ts';
import { type KeyType, VERIFIERS } from '../../edge/wire/keys.ts';
import { didOf, fastSigner, newSecretKey } from '../../firmware-sim/signer.ts';
import { type Bench, ratio } from './report.ts';
import { runLoad, startBareAedes, startBenchGateway } from './start.ts';

const CONNECTIONS = 50;

/** Verifications a second through the thread pool, with as many under way as keep it busy. */
export async function poolVerifyRate(keyType: KeyType, seconds: number): Promise<number> {
  const secret = { keyType, secretKey: newSecretKey(keyType) };
  const signed = Buffer.alloc(140, 7);
  const signature = fastSigner(secret)(signed);
  const key = verifyKey(decodeDid(didOf(secret)));
  const [alg] = VERIFIERS[keyType].algs;
  const end = performance.now() + seconds * 1000;
  const started = performance.now();
  let done = 0;
  await Promise.all(
    Array.from(
      { length: 64 },
      () =>
        new Promise<void>((resolve, reject) => {
          const next = (): void => {
            verifyInPool(key, { alg, signed, signature }, (valid) => {
              if (!valid) reject(new Error('a good signature was refused'));
              done++;
              if (performance.now() < end) next();
              else resolve();
            });
          };
          next();
        }),
    ),
  );
  return done / ((performance.now() - started) / 1000);
}

export async function benchIntake(bench: Bench): Promise<void> {
  const limit = await poolVerifyRate('Ed25519', 4);
  bench.row('Ed25519 verify, thread pool (the limit)', `${Math.round(limit)}/s`);
  const p256Limit = await poolVerifyRate('P-256', 4);
  bench.row('P-256 verify, thread pool (the limit)', `${Math.round(p256Limit)}/s`, {
    'of Ed25519': ratio(p256Limit / limit),
  });
  const bare: ChildProcess & { url: string } = await startBareAedes();
  const plain = await runLoad({
    url: bare.url,
    connections: CONNECTIONS,
    messages: 200_000,
    window: 64,
    rate: 0,
    plain: true,
  });
  bare.kill();
  const bareRate = plain.messages / plain.seconds;
  bench.row('bare aedes, QoS 1, nothing verified or stored', `${Math.round(bareRate)}/s`);

  const gateway = await startBenchGateway();
  try {
    const load = { gateway, connections: CONNECTIONS, window: 64, plain: false };
    await runLoad({ ...load, messages: 20_000, rate: 0 }); // warm
    const full = await runLoad({ ...load, messages: 120_000, rate: 0 });
    const rate = full.messages / full.seconds;
    bench.row(`accepted, ${CONNECTIONS} connections, one envelope a message`, `${Math.round(rate)}/s`, {
      'of the verify limit': ratio(rate / limit, 0.6, 'least'),
      'of bare aedes': ratio(rate / bareRate),
    });
    const p256 = await runLoad({ ...load, keyType: 'P-256', messages: 60_000, rate: 0 });
    const p256Rate = p256.messages / p256.seconds;
    bench.row(`accepted, the same with P-256 keys`, `${Math.round(p256Rate)}/s`, {
      'of the P-256 verify limit': ratio(p256Rate / p256Limit),
      'of Ed25519': ratio(p256Rate / rate),
    });
    const paced = await runLoad({ ...load, messages: 8_000, rate: 1000 });
    bench.row(
      'PUBACK at 1,000/s',
      `p50 ${paced.latencyMs.p50.toFixed(1)} ms, p99 ${paced.latencyMs.p99.toFixed(1)} ms`,
    );
  } finally {
    await gateway.stop();
  }
}
