/** Envelopes accepted a second, and how long a PUBACK takes, beside the machine's limit and beside bare aedes. */
import type { ChildProcess } from 'node:child_process';
import { verifyInPool, verifyKey } from '../../edge/intake/verify.ts';
import { decodeDid } from '../../edge/wire/did.ts';
import { type KeyType, VERIFIERS } from '../../edge/wire/keys.ts';
import { didOf, fastSigner, newSecretKey } from '../../firmware-sim/signer.ts';
import { writtenBytes } from './proc.ts';
import { type Bench, ratio } from './report.ts';
import { type BenchGateway, type LoadResult, runLoad, startBareAedes, startBenchGateway } from './start.ts';

const CONNECTIONS = 50;
/** Records of a pack: a minute, read every second. */
const PACK = 60;

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
  const plain = { url: bare.url, connections: CONNECTIONS, window: 64, plain: true };
  const plainFull = await runLoad({ ...plain, messages: 200_000, rate: 0 });
  const plainPaced = await runLoad({ ...plain, messages: 8_000, rate: 1000 });
  bare.kill();
  const bareRate = plainFull.messages / plainFull.seconds;
  bench.row('bare aedes, QoS 1, nothing verified or stored', `${Math.round(bareRate)}/s`);

  const gateway = await startBenchGateway();
  try {
    // In the open log, as plants and sensors are; what sealing costs beside it has its own rows below.
    const load = { gateway, connections: CONNECTIONS, window: 64, plain: false, kind: 'sensor' as const };
    await runLoad({ ...load, messages: 20_000, rate: 0 }); // warm
    const before = writtenBytes(gateway.pid);
    const full = await runLoad({ ...load, messages: 120_000, rate: 0 });
    const written = (writtenBytes(gateway.pid) - before) / full.messages;
    // The machine may be slower now than it was at first: the limit is the mean of before and after.
    const limitNow = (limit + (await poolVerifyRate('Ed25519', 4))) / 2;
    const rate = full.messages / full.seconds;
    bench.row(`accepted, ${CONNECTIONS} connections, one envelope a message`, `${Math.round(rate)}/s`, {
      'of the verify limit': ratio(rate / limitNow, 0.7, 'least'),
      'of bare aedes': ratio(rate / bareRate),
    });
    writes(bench, 'bytes written per envelope, 2 readings, full rate', written, full.bytes);

    const p256 = await runLoad({ ...load, keyType: 'P-256', messages: 60_000, rate: 0 });
    const p256Rate = p256.messages / p256.seconds;
    bench.row(`accepted, the same with P-256 keys`, `${Math.round(p256Rate)}/s`, {
      'of the P-256 verify limit': ratio(p256Rate / p256Limit),
      'of Ed25519': ratio(p256Rate / rate),
    });

    await benchSealing(bench, load, rate);

    const beforePaced = writtenBytes(gateway.pid);
    const paced = await runLoad({ ...load, messages: 8_000, rate: 1000 });
    const writtenPaced = (writtenBytes(gateway.pid) - beforePaced) / paced.messages;
    bench.row('PUBACK of bare aedes at 1,000/s', latency(plainPaced));
    bench.row('PUBACK at 1,000/s', latency(paced), {
      'of the p99 of bare aedes': ratio(paced.latencyMs.p99 / plainPaced.latencyMs.p99),
    });
    writes(bench, 'bytes written per envelope, 2 readings, 1,000/s', writtenPaced, paced.bytes);

    const beforePacks = writtenBytes(gateway.pid);
    const packs = await runLoad({ ...load, messages: 40_000, rate: 0, records: PACK });
    const readings = (packs.messages * PACK) / packs.seconds;
    bench.row(`readings in packs of ${PACK}`, `${Math.round(readings)}/s`, {
      'of the verify limit, in packs': ratio(readings / PACK / limitNow),
      'times one envelope a reading': ratio(readings / rate),
    });
    writes(
      bench,
      `bytes written per reading, packs of ${PACK}`,
      (writtenBytes(gateway.pid) - beforePacks) / packs.messages / PACK,
      packs.bytes / PACK,
    );
  } finally {
    await gateway.stop();
  }
}

type Load = { gateway: BenchGateway; connections: number; window: number; plain: boolean };

/** Vehicles and households: the gateway signs a hash envelope for each, and keeps the reading encrypted beside it. */
async function benchSealing(bench: Bench, load: Load, openRate: number): Promise<void> {
  const sealed = { ...load, kind: 'meter' as const };
  const before = writtenBytes(load.gateway.pid);
  const full = await runLoad({ ...sealed, messages: 60_000, rate: 0 });
  const written = (writtenBytes(load.gateway.pid) - before) / full.messages;
  // In the open once more, because the machine is not the same from minute to minute.
  const open = await runLoad({ ...load, messages: 60_000, rate: 0 });
  const mean = (openRate + open.messages / open.seconds) / 2;
  const rate = full.messages / full.seconds;
  bench.row('accepted, sealed', `${Math.round(rate)}/s`, { 'of the same in the open': ratio(rate / mean) });
  writes(bench, 'bytes written per sealed envelope, 2 readings, full rate', written, full.bytes);
  const paced = await runLoad({ ...sealed, messages: 8_000, rate: 1000 });
  bench.row('PUBACK at 1,000/s, sealed', latency(paced));
}

const latency = ({ latencyMs: { p50, p99 } }: LoadResult): string =>
  `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;

const writes = (bench: Bench, name: string, written: number, sent: number): void =>
  bench.row(name, `${Math.round(written)} bytes`, {
    [`times what was sent (${Math.round(sent)} bytes)`]: ratio(written / sent),
  });
