/** Envelopes accepted a second, and how long a PUBACK takes, beside the machine's limit and beside bare aedes. */
import type { ChildProcess } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { type Bench, ratio } from './report.ts';
import { runLoad, startBareAedes, startBenchGateway } from './start.ts';

const CONNECTIONS = 50;

/** Ed25519 verifications a second through the thread pool, with as many under way as keep it busy. */
export async function poolVerifyRate(seconds: number): Promise<number> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const message = Buffer.alloc(140, 7);
  const signature = sign(null, message, privateKey);
  const key: KeyObject = createPublicKey(publicKey.export({ format: 'pem', type: 'spki' }));
  const end = performance.now() + seconds * 1000;
  const started = performance.now();
  let done = 0;
  await Promise.all(
    Array.from(
      { length: 64 },
      () =>
        new Promise<void>((resolve) => {
          const next = (): void => {
            verify(null, message, key, signature, () => {
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
  const limit = await poolVerifyRate(4);
  bench.row('Ed25519 verify, thread pool (the limit)', `${Math.round(limit)}/s`);
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
    const paced = await runLoad({ ...load, messages: 8_000, rate: 1000 });
    bench.row(
      'PUBACK at 1,000/s',
      `p50 ${paced.latencyMs.p50.toFixed(1)} ms, p99 ${paced.latencyMs.p99.toFixed(1)} ms`,
    );
  } finally {
    await gateway.stop();
  }
}
