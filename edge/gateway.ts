import { sign } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Hex } from 'viem';
import { Live } from './api/live.ts';
import { Api } from './api/server.ts';
import type { HealthView } from './api/views.ts';
import { Anchorer } from './chain/anchorer.ts';
import { EMBEDDED_CHAIN_ID, EmbeddedChain } from './chain/embedded.ts';
import { isPublic } from './chain/rpc.ts';
import type { Config } from './config.ts';
import { EdgeError, errorLine } from './errors.ts';
import { describeHealth } from './health.ts';
import { type Identity, openIdentity } from './identity.ts';
import { Accept } from './intake/accept.ts';
import { startClock } from './intake/clock.ts';
import { Custodian } from './intake/custody.ts';
import { declareLost } from './intake/declare.ts';
import { Enrolment } from './intake/enrolment.ts';
import { makeLogin } from './intake/login.ts';
import { MqttIntake } from './intake/mqtt.ts';
import { GATEWAY_KIND, KINDS } from './intake/profiles.ts';
import { startSerial } from './intake/serial/serial.ts';
import { writePrivate } from './keystore.ts';
import { Checkpointer } from './log/checkpointer.ts';
import { Log } from './log/log.ts';
import type { Retention } from './log/retention.ts';
import { collectSamples, type MetricParts } from './metrics.ts';
import { startRetention } from './retain.ts';
import { type Device, Devices } from './store/devices.ts';
import { Disk } from './store/disk.ts';
import { Entries } from './store/entries.ts';
import { Gaps } from './store/gaps.ts';
import { Quarantine } from './store/quarantine.ts';
import { Store, setMeta } from './store/store.ts';
import { Tokens } from './tokens.ts';
import { publicKeyOf, signEd25519 } from './wire/ed25519.ts';

export type Reporter = (line: string, level: 'info' | 'warn') => void;

/** What other programs on this machine need to reach a running gateway: written to run.json in the data folder. */
export type RunInfo = {
  pid: number;
  origin: string;
  did: string;
  mqtt: string;
  http: string;
  /** Left out where the URL has more than host and port: it may be a key. */
  rpc?: string;
  anchors?: string;
};

export type Gateway = {
  info: RunInfo;
  parts: MetricParts & { tokens: Tokens; quarantine: Quarantine; entries: Entries };
  health: () => HealthView;
  /** Resolves when the gateway cannot go on and must be started anew. */
  failed: Promise<EdgeError>;
  /** @param finalAnchorMs how long the newest checkpoint may still try to reach the chain */
  close: (finalAnchorMs?: number) => Promise<FinalState>;
};

/** How the log stood when everything had come to rest. */
export type FinalState = { entries: number; checkpointSize: number; anchoredSize: number; anchors: number };

/** How long a start waits for the first word of the chain before it goes on without. */
const CHAIN_FIRST_WORD_MS = 3_000;

/** @throws EdgeError, with all that had started closed again */
export async function startGateway(config: Config, version: string, report: Reporter): Promise<Gateway> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse())
      try {
        await closer();
      } catch (error) {
        report(`closing: ${errorLine(error)}`, 'warn'); // and go on: what is left open would outlive us
      }
  };
  try {
    return await build(config, version, report, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(
  config: Config,
  version: string,
  report: Reporter,
  closers: (() => Promise<void> | void)[],
  close: () => Promise<void>,
): Promise<Gateway> {
  const startedAt = performance.now();
  const warn = (line: string): void => report(line, 'warn');
  const { origin } = config.log;
  let chain: { anchorer?: Anchorer; rpc?: string } = {};

  // Who we are, before anything is written in that name.
  const identity: Identity = openIdentity(config);
  const tokens = new Tokens(origin, identity.did, identity.keys);

  // Store and log.
  const store = await Store.open(join(config.dataFolder, 'edge.db'), config.retention.maxBytes);
  const disk = new Disk(store, config.retention);
  let closeStore = (): Promise<void> => store.close();
  closers.push(() => closeStore());
  await checkOwner(store, origin, identity);
  const log = new Log(store, {
    origin,
    publicKey: publicKeyOf(identity.logKey),
    sign: (message) => signEd25519(message, identity.logKey),
  });
  try {
    log.start();
  } catch (error) {
    if (!(error instanceof EdgeError) || error.code !== 'STORE_DAMAGED') throw error;
    closeStore = async () => undefined;
    await store.giveUp(error.detail);
  }
  let final: FinalState = { entries: 0, checkpointSize: 0, anchoredSize: 0, anchors: 0 };
  closers.push(() => {
    final = {
      entries: log.size,
      checkpointSize: log.latest?.size ?? 0,
      anchoredSize: chain.anchorer?.state.headSize ?? 0,
      anchors: chain.anchorer?.transactions.anchored().count ?? 0,
    };
  });
  const entries = new Entries(store);
  const devices = new Devices(store);
  devices.start();
  const quarantine = new Quarantine(store);
  quarantine.start();

  // The accept path.
  const now = startClock(config.clock.source);
  const gaps = new Gaps(store);
  let retention: Retention | undefined;
  const accept = new Accept({
    log,
    entries,
    devices,
    quarantine,
    gaps,
    voice: {
      did: identity.did,
      boot: store.boot,
      sign: (bytes) => new Uint8Array(sign(null, bytes, identity.keys.privateKey)),
    },
    disk,
    now,
    alarm: warn,
    onDiskFull: () => retention?.refused(),
    ...config.intake,
  });
  const custodian = new Custodian({
    accept,
    devices,
    entries,
    boot: store.boot,
    privateKeyOf: (did) => (did === identity.did ? identity.keys.privateKey : identity.deviceKey(did)),
  });
  await genesis(devices, log, custodian, identity);
  closers.push(() => accept.idle());

  // Followers: the chain first, because it decides whether checkpoints may be signed.
  const checkpointer = new Checkpointer(log, {
    seconds: config.log.checkpointSeconds,
    entries: config.log.checkpointEntries,
    onError: (error) => warn(`log: ${errorLine(error)}`),
  });
  let finalAnchorMs = 0;
  let wakeReaders = (): void => undefined;
  chain = await startChain(
    config,
    identity,
    log,
    store,
    checkpointer,
    report,
    closers,
    () => finalAnchorMs,
    () => wakeReaders(),
  );
  closers.push(() => checkpointer.stop());
  checkpointer.start();
  retention = startRetention({
    config,
    log,
    store,
    devices,
    disk,
    accept,
    anchorer: chain.anchorer,
    now,
    report: warn,
  });
  closers.push(() => retention?.stop());

  // Intake.
  const clockSynced = (): boolean => now().clockSynced;
  const mqtt = new MqttIntake({
    host: config.mqtt.host,
    port: config.mqtt.port,
    maxConnections: config.mqtt.maxConnections,
    maxConnectionsPerUser: config.mqtt.maxConnectionsPerUser,
    connectTimeoutMs: config.mqtt.connectTimeoutSeconds * 1000,
    maxDeviceRate: config.mqtt.maxDeviceRate,
    login: makeLogin(devices, tokens, clockSynced),
    offerEnvelope: (did, topic, bytes) => custodian.offerEnvelope(did, topic, bytes),
    offerSenml: (did, topic, bytes, resent) => custodian.offerSenml(did, topic, bytes, resent),
    report: warn,
  });
  const live = new Live({
    log,
    entries,
    devices,
    listening: () => mqtt.hasLiveSubscribers,
    publish: (topic, json) => mqtt.send(topic, json, 0),
  });
  live.start();
  const mqttPort = await mqtt.start();
  closers.push(() => mqtt.stop());

  const enrolment = new Enrolment(devices, () => identity.makeDeviceKey());
  const serialPorts = await Promise.all(
    config.serial.ports.map(async (port) => ({
      ...port,
      devices: await Promise.all(port.devices.map(async (d) => ({ ...d, did: await enrolment.serialDevice(d) }))),
    })),
  );
  let serialEntries = 0;
  const serial = startSerial(
    { ports: serialPorts },
    {
      submit: async (did, records) => {
        const outcome = await custodian.submit(devices.get(did) as Device, 'serial', records);
        if (outcome.kind === 'accepted') serialEntries++;
        if (outcome.kind === 'quarantined') warn(`serial: ${did}: ${outcome.code}: ${outcome.detail}`);
      },
      report: (line, level) => report(`serial: ${line}`, level),
    },
  );
  closers.push(() => serial.stop());

  // Everybody's eyes.
  const parts = {
    log,
    checkpointer,
    store,
    accept,
    devices,
    quarantine,
    entries,
    tokens,
    mqtt,
    serial,
    live,
    anchorer: chain.anchorer,
    disk,
    retention,
    now,
    startedAt,
    serialEntries: () => serialEntries,
  };
  const health = (): HealthView => describeHealth(parts, identity.did, version);
  const api = new Api(
    {
      ...parts,
      gaps,
      declareLost: (device, range) => declareLost(accept, device, range),
      kinds: KINDS,
      health,
      samples: () => collectSamples(parts),
      enrol: (wanted) => enrolment.enrol(wanted),
      setStatus: (did, status, by) => devices.setStatus(did, status, Date.now(), by),
      anchors: (limit, before) =>
        (chain.anchorer?.transactions.list(limit, before) ?? []).map((t) => ({
          id: t.id,
          size: t.size,
          root: Buffer.from(t.root).toString('base64'),
          chainId: t.chainId,
          contract: t.contract,
          transaction: t.hashes.at(-1) as string,
          status: t.status,
          block: t.block,
          gasUsed: t.gasUsed,
          madeMs: t.madeMs,
          minedMs: t.minedMs,
        })),
      anchorCovering: (index) => {
        const t = chain.anchorer?.transactions.covering(index);
        return (
          t && {
            size: t.size,
            hint: {
              chainId: t.chainId,
              contract: t.contract,
              transaction: t.hashes.at(-1) as string,
              block: t.block ?? 0,
            },
          }
        );
      },
    },
    {
      host: config.http.host,
      port: config.http.port,
      maxEventStreams: config.http.maxEventStreams,
      version,
      onError: warn,
    },
  );
  const httpPort = await api.start();
  closers.push(() => api.stop());

  wakeReaders = () => {
    api.wake();
    retention?.wake();
  };
  log.onGrown = () => {
    checkpointer.wake();
    live.wake();
    api.wake();
  };
  log.onCheckpoint = () => {
    chain.anchorer?.wake();
    wakeReaders();
  };

  const info: RunInfo = {
    pid: process.pid,
    origin,
    did: identity.did,
    mqtt: `mqtt://${config.mqtt.host}:${mqttPort}`,
    http: `http://${config.http.host}:${httpPort}`,
    ...(chain.anchorer ? { anchors: chain.anchorer.state.contract } : {}),
    ...(chain.rpc ? { rpc: chain.rpc } : {}),
  };
  const runPath = join(config.dataFolder, 'run.json');
  writePrivate(runPath, `${JSON.stringify(info, null, 2)}\n`);
  closers.push(() => rmSync(runPath, { force: true }));

  return {
    info,
    parts,
    health,
    failed: store.lost,
    close: async (anchorMs = 1_500) => {
      finalAnchorMs = anchorMs;
      await close();
      return final;
    },
  };
}

/** A data folder belongs to one origin and one set of keys, for ever. @throws EdgeError STORE_OTHER_LOG */
async function checkOwner(store: Store, origin: string, identity: Identity): Promise<void> {
  const ours = { origin, did: identity.did, logKey: Buffer.from(publicKeyOf(identity.logKey)).toString('hex') };
  for (const [key, value] of Object.entries(ours)) {
    const held = store.meta(key);
    if (held === undefined) await store.write({ statements: [setMeta(key, value)] });
    else if (held !== value)
      throw new EdgeError('STORE_OTHER_LOG', `${store.path} was made with ${key} ${held}, now it is ${value}`);
  }
}

/** Entry 0 names the gateway, in its own words and with its own signature. */
async function genesis(devices: Devices, log: Log, custodian: Custodian, { did }: Identity): Promise<void> {
  const self =
    devices.get(did) ??
    (await devices.enrol(
      { did, kind: GATEWAY_KIND, custody: 'gateway', sub: `urn:sejong:gateway:${log.origin}` },
      Date.now(),
    ));
  if (log.size > 0) return;
  await custodian.submit(self, 'genesis', [
    { n: 'origin', vs: log.origin },
    { n: 'log-key', vs: log.verifierKey },
  ]);
}

async function startChain(
  config: Config,
  identity: Identity,
  log: Log,
  store: Store,
  checkpointer: Checkpointer,
  report: Reporter,
  closers: (() => Promise<void> | void)[],
  finalAnchorMs: () => number,
  onAnchored: () => void,
): Promise<{ anchorer?: Anchorer; rpc?: string }> {
  const c = config.chain;
  if (c.mode === 'none') {
    checkpointer.release();
    return {};
  }
  let { rpc, chainId } = c;
  if (c.mode === 'rpc' && c.anchors === '')
    throw new EdgeError(
      'CONFIG_INVALID',
      'chain.anchors is empty: with chain.mode rpc it is the address of the contract, which sejong-edge deploy prints',
    );
  if (c.mode === 'embedded') {
    const embedded = await EmbeddedChain.start(join(config.dataFolder, 'chain'), c.embeddedPort, (line) =>
      report(line, 'warn'),
    );
    closers.push(() => embedded.stop());
    rpc = embedded.rpc;
    chainId = EMBEDDED_CHAIN_ID;
    report(`chain: ${embedded.version} on ${rpc}`, 'info');
  }
  const anchorer = new Anchorer(log, store, {
    rpc,
    chainId,
    contract: c.mode === 'rpc' ? (c.anchors as Hex) : undefined,
    secretKey: identity.anchorKey,
    everySeconds: c.everySeconds,
    pollSeconds: c.pollSeconds,
    confirmations: c.confirmations,
    stuckSeconds: c.stuckSeconds,
    maxFeeGwei: c.maxFeeGwei,
    allowSigning: (held) => (held === undefined ? checkpointer.release() : checkpointer.hold(held)),
    report: (line) => report(line, 'warn'),
    onAnchored,
  });
  closers.push(() => anchorer.stop(finalAnchorMs()));
  await anchorer.start(CHAIN_FIRST_WORD_MS);
  // Shown and written down: not where the URL has a key in it.
  return { anchorer, ...(isPublic(rpc) ? { rpc } : {}) };
}
