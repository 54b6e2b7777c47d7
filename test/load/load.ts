/** Many at once, and one that is too fast: what the broker promises under each, as numbers. */
import { connectionsAllowed, eachOf, Link, LoadDevice, LoadGateway, type LoadResult, sha256, spread } from './rig.ts';

const SEED = 1;
const AT_ONCE = 64;
const CONNECTIONS_A_DEVICE = 1000;

/** One envelope, from its sending to its PUBACK. @returns ms, or undefined where there was none */
async function publish(device: LoadDevice, link: Link, acked: Set<string>): Promise<number | undefined> {
  const envelope = device.envelope();
  const packet = device.publishPacket(envelope, (device.seq % 65_535) + 1);
  const began = performance.now();
  link.socket.write(packet);
  if ((await link.answer())?.[0] !== 0x40) return undefined;
  acked.add(sha256(envelope));
  return performance.now() - began;
}

async function series(device: LoadDevice, link: Link, n: number, acked: Set<string>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < n; i++) {
    const ms = await publish(device, link, acked);
    if (ms !== undefined) times.push(ms);
  }
  return times;
}

/** @param wanted connections that log in and then say nothing, beside one device that works */
export async function idleConnections(wanted: number): Promise<LoadResult> {
  const n = Math.min(wanted, connectionsAllowed());
  const gateway = await LoadGateway.start({ maxConnections: n + 10, maxConnectionsPerUser: CONNECTIONS_A_DEVICE });
  const devices = Array.from({ length: Math.ceil(n / CONNECTIONS_A_DEVICE) }, (_, i) => new LoadDevice(SEED, i));
  const worker = new LoadDevice(SEED, 1_000_000);
  await gateway.enrol([...devices, worker]);
  const acked = new Set<string>();
  const link = (await Link.open(gateway.mqttPort)) as Link;
  await link.login(worker.login(gateway.origin));
  const alone = await series(worker, link, 50, acked);
  const before = await gateway.metric('resident_memory_bytes');

  const links: Link[] = [];
  const logins: number[] = [];
  await eachOf(Array(n).keys(), AT_ONCE, async (i) => {
    const device = devices[Math.floor(i / CONNECTIONS_A_DEVICE)] as LoadDevice;
    const began = performance.now();
    const idle = await Link.open(gateway.mqttPort);
    if (!idle) return;
    links.push(idle);
    if (await idle.login(device.login(gateway.origin, { clientId: `idle ${i}` })))
      logins.push(performance.now() - began);
  });
  const connected = (await gateway.metric('mqtt_connected')) - 1;
  const beside = await series(worker, link, 50, acked);
  const after = await gateway.metric('resident_memory_bytes');
  const open = links.filter((l) => !l.closed).length;
  for (const l of links) l.socket.destroy();
  while ((await gateway.metric('mqtt_connected')) > 1) await new Promise((resolve) => setTimeout(resolve, 20));
  link.socket.destroy();
  const lost = await gateway.finish(acked);
  const kib = Math.round((after - before) / n / 1024);
  return {
    name: 'idle connections',
    counts: { wanted, tried: n, loggedIn: logins.length, connected, open, acked: acked.size, kibPerConnection: kib },
    latencies: { login: spread(logins), pubackAlone: spread(alone), pubackBeside: spread(beside) },
    lost,
    detail: n < wanted ? `only ${n}: this machine allows no more open files (ulimit -n)` : `${kib} KiB a connection`,
  };
}

/** @param n devices, each with one reading acknowledged, whose gateway is killed; all of them come back at once */
export async function reconnectStorm(n: number): Promise<LoadResult> {
  const gateway = await LoadGateway.start();
  const devices = Array.from({ length: n }, (_, i) => new LoadDevice(SEED, i));
  await gateway.enrol(devices);
  const acked = new Set<string>();
  const links: Link[] = [];
  const first: number[] = [];
  await eachOf(devices, AT_ONCE, async (device) => {
    const link = await Link.open(gateway.mqttPort);
    if (!link || !(await link.login(device.login(gateway.origin)))) return;
    links.push(link);
    const ms = await publish(device, link, acked);
    if (ms !== undefined) first.push(ms);
  });
  await gateway.kill('SIGKILL');
  for (const link of links) link.socket.destroy();
  await gateway.run();

  const began = performance.now();
  const back: number[] = [];
  const published: number[] = [];
  let attempts = 0;
  // Nobody waits for anybody, and who is turned away tries again at once.
  await Promise.all(
    devices.map(async (device) => {
      for (let tries = 0; tries < 50; tries++) {
        attempts++;
        const link = await Link.open(gateway.mqttPort);
        if (link && (await link.login(device.login(gateway.origin)))) {
          back.push(performance.now() - began);
          const ms = await publish(device, link, acked);
          link.socket.destroy();
          if (ms !== undefined) {
            published.push(ms);
            return;
          }
          device.seq--; // not acknowledged: the same counter, and so the same bytes, again
        }
        link?.socket.destroy();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }),
  );
  const allBackMs = performance.now() - began;
  const refused = await gateway.metric('mqtt_logins_refused_total');
  const lost = await gateway.finish(acked);
  return {
    name: 'reconnect storm',
    counts: { devices: n, before: first.length, back: published.length, attempts, refused, acked: acked.size },
    latencies: { login: spread(back), pubackBefore: spread(first), puback: spread(published) },
    lost,
    detail: `all ${published.length} of ${n} were back and served after ${(allBackMs / 1000).toFixed(1)} s`,
  };
}

/** Packets in one write of the flood. */
const AT_A_TIME = 100;

/** @param rounds readings of each honest device, alone and beside one that sends without waiting for an answer */
export async function floodBesideOthers(rounds = 100, honest = 5): Promise<LoadResult> {
  const gateway = await LoadGateway.start();
  const devices = Array.from({ length: honest }, (_, i) => new LoadDevice(SEED, i));
  const flooder = new LoadDevice(SEED, 1_000_000);
  await gateway.enrol([...devices, flooder]);
  const acked = new Set<string>();
  const links = await Promise.all(
    devices.map(async (device) => {
      const link = (await Link.open(gateway.mqttPort)) as Link;
      await link.login(device.login(gateway.origin));
      return link;
    }),
  );
  const all = async (): Promise<number[]> =>
    (await Promise.all(devices.map((device, i) => series(device, links[i] as Link, rounds, acked)))).flat();
  await all(); // warm
  const alone = await all();

  let flooding = true;
  let flooded = 0;
  const floodLinks = await Promise.all(
    Array.from({ length: 4 }, async (_, i) => {
      const link = (await Link.open(gateway.mqttPort)) as Link;
      await link.login(flooder.login(gateway.origin, { clientId: `flood ${i}` }));
      return link;
    }),
  );
  const floods = floodLinks.map(async (link) => {
    // Envelopes made before, the same ones again and again, and many in one write: it is the gateway that is to be
    // busy, not this process, which also takes the others' times.
    const packets = Array.from({ length: 2000 }, (_, i) => flooder.publishPacket(flooder.envelope(), i + 1));
    const writes = Array.from({ length: packets.length / AT_A_TIME }, (_, i) =>
      Buffer.concat(packets.slice(i * AT_A_TIME, (i + 1) * AT_A_TIME)),
    );
    for (let i = 0; flooding && !link.closed; i++) {
      flooded += AT_A_TIME;
      if (!link.socket.write(writes[i % writes.length] as Buffer))
        await new Promise<void>((resolve) => {
          link.socket.once('drain', resolve);
          link.socket.once('close', () => resolve());
        });
    }
  });
  const beside = await all();
  const throttled = await gateway.metric('mqtt_throttled_seconds_total');
  const malformed = await gateway.metric('mqtt_malformed_total');
  flooding = false;
  for (const link of floodLinks) link.socket.destroy();
  await Promise.all(floods);
  for (const link of links) link.socket.destroy();
  const lost = await gateway.finish(acked);
  const ratio = spread(beside).p50 / Math.max(0.01, spread(alone).p50);
  return {
    name: 'flood beside others',
    counts: {
      honest,
      acked: acked.size,
      expected: 3 * honest * rounds,
      flooded,
      throttledSeconds: Math.round(throttled),
      malformed,
    },
    latencies: { alone: spread(alone), beside: spread(beside) },
    lost,
    detail: `the median PUBACK of the others took ${ratio.toFixed(1)} times as long beside the flood`,
  };
}

/** @param rounds good logins of each of a few devices, alone and beside a storm of bad ones that never ends */
export async function badLoginsBesideGood(rounds = 40): Promise<LoadResult> {
  const gateway = await LoadGateway.start();
  const good = Array.from({ length: 4 }, (_, i) => new LoadDevice(SEED, i));
  const bad = Array.from({ length: 20 }, (_, i) => new LoadDevice(SEED, 1000 + i));
  await gateway.enrol([...good, ...bad]);
  const acked = new Set<string>();
  const times = async (): Promise<number[]> => {
    const ms: number[] = [];
    await Promise.all(
      good.map(async (device) => {
        for (let i = 0; i < rounds; i++) {
          const began = performance.now();
          const link = await Link.open(gateway.mqttPort);
          if (link && (await link.login(device.login(gateway.origin)))) {
            ms.push(performance.now() - began);
            await publish(device, link, acked);
          }
          link?.socket.destroy();
        }
      }),
    );
    return ms;
  };
  await times();
  const alone = await times();
  let storming = true;
  let tried = 0;
  const storm = bad.map(async (device) => {
    const wrong = device.login('another.example/gateway'); // well signed, so that its signature is checked
    while (storming) {
      tried++;
      const link = await Link.open(gateway.mqttPort);
      await link?.login(wrong);
      link?.socket.destroy();
    }
  });
  const beside = await times();
  storming = false;
  await Promise.all(storm);
  const refused = await gateway.metric('mqtt_logins_refused_total');
  const unchecked = await gateway.metric('cap_hits_total{cap="mqtt.maxFailedLogins"}');
  const lost = await gateway.finish(acked);
  return {
    name: 'bad logins beside good',
    counts: { good: alone.length + beside.length, expected: 2 * good.length * rounds, tried, refused, unchecked },
    latencies: { alone: spread(alone), beside: spread(beside) },
    lost,
    detail: `${tried} bad logins, ${unchecked} of them refused unchecked`,
  };
}
