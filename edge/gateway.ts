import { sign } from 'node:crypto';
import { join } from 'node:path';
import { Alarms } from './alarms/alarms.ts';
import { Heard } from './alarms/heard.ts';
import { Watch } from './alarms/watch.ts';
import { type Anchoring, anchorParts, startAnchoring } from './anchoring.ts';
import { Live } from './api/live.ts';
import { Receipts } from './api/receipts.ts';
import { Api } from './api/server.ts';
import type { HealthView } from './api/views.ts';
import { Caps } from './caps.ts';
import { Caring } from './caring.ts';
import { ChainPlace } from './chain/place.ts';
import {
  type Checking,
  checkHealth,
  checkParts,
  checkSamples,
  forgettable,
  startChecking,
  stopChecking,
} from './checking.ts';
import { Claiming } from './claiming.ts';
import type { Config } from './config.ts';
import type { Configuring } from './configuring.ts';
import { buildConsole } from './console-build.ts';
import { Crediting, creditParts } from './crediting.ts';
import { certificateSchema } from './credits/certificate.ts';
import { sayDeeds } from './deeds.ts';
import { openEpoch } from './epoch/open.ts';
import { EdgeError, errorLine } from './errors.ts';
import { Forgetting } from './forget.ts';
import { describeHealth, healthSamples } from './health.ts';
import { type Identity, keysFolder, openIdentity } from './identity.ts';
import { Accept } from './intake/accept.ts';
import { startClock } from './intake/clock.ts';
import { Custodian } from './intake/custody.ts';
import { Enrolment } from './intake/enrolment.ts';
import { makeLogin } from './intake/login.ts';
import { guardLogins } from './intake/login-guard.ts';
import { MqttIntake } from './intake/mqtt.ts';
import { Sealing } from './intake/sealing.ts';
import { type Ending, endings, mayConnect } from './intake/standing.ts';
import { admitStrangers } from './intake/strangers.ts';
import { cleanKeys } from './key-rotation.ts';
import { Checkpointer } from './log/checkpointer.ts';
import { GATEWAY_SUB } from './log/gap.ts';
import type { Retention } from './log/retention.ts';
import { collectSamples, type MetricParts } from './metrics.ts';
import { flowsHealth } from './node-red/state.ts';
import { Numbers } from './numbers.ts';
import { alarmParts, deeds, failedLogins, LOCAL, People, tracesOf } from './people.ts';
import { profilesPart, profileWarnings, sealing } from './profile-parts.ts';
import { loadProfiles } from './profiles/load.ts';
import { GATEWAY_KIND } from './profiles/profile.ts';
import { registerOf } from './profiles/watch.ts';
import { Registering } from './registering.ts';
import { Reloading } from './reload.ts';
import { followConfig } from './reload-parts.ts';
import { startRetention } from './retain.ts';
import { Review } from './review.ts';
import { type RunInfo, writeRunInfo } from './run-info.ts';
import { startReplaceableLines } from './serial-lines.ts';
import { serialPorts } from './serial-ports.ts';
import { Sessions } from './sessions.ts';
import { AlarmRows } from './store/alarms.ts';
import { Audits } from './store/audit.ts';
import { Cares, careTraces } from './store/care.ts';
import { Claims } from './store/claims.ts';
import type { Device, Devices } from './store/devices.ts';
import { Disk } from './store/disk.ts';
import { Entries } from './store/entries.ts';
import { Gaps } from './store/gaps.ts';
import { LateEntries } from './store/late.ts';
import { Marks } from './store/marks.ts';
import type { Quarantine } from './store/quarantine.ts';
import { setMeta } from './store/store.ts';
import { IssuedTokens } from './store/tokens.ts';
import { formerCopies } from './store/upgrade.ts';
import { succession } from './succeeding.ts';
import { Tokens } from './tokens.ts';
import { Certificates } from './transport.ts';
import { Vitals } from './vitals.ts';
import { publicKeyOf, signEd25519 } from './wire/ed25519.ts';
import type { SenmlRecord } from './wire/senml.ts';
import { startWitnessing, witnessParts } from './witnessing.ts';

export type Reporter = (line: string, level: 'debug' | 'info' | 'warn') => void;

export type Gateway = {
  info: RunInfo;
  parts: MetricParts & {
    tokens: Tokens;
    quarantine: Quarantine;
    entries: Entries;
    registry: Registering;
    checkRows: Checking['checks'] | undefined;
    /** Undefined where no certificates are made. */
    crediting: Crediting | undefined;
  };
  health: () => HealthView;
  /** One-time codes to sign in to the console with. */
  sessions: Sessions;
  /** Looks at the files of the certificates again. */
  reload: () => void;
  /** What can be taken over from another config while it runs. */
  reloading: Reloading;
  /** Resolves when the gateway cannot go on and must be started anew. */
  failed: Promise<EdgeError>;
  /** @param finalAnchorMs how long the newest checkpoint may still try to reach the chain */
  close: (finalAnchorMs?: number) => Promise<FinalState>;
};

/** How the log stood when everything had come to rest. */
export type FinalState = { entries: number; checkpointSize: number; anchoredSize: number; anchors: number };

/** How long a start waits for the first word of the chain before it goes on without. */
const CHAIN_FIRST_WORD_MS = 3_000;

/** Receipts of a device from which its usual interval is made. */
const RECEIPTS_LOOKED_AT = 20;
/** The newest refused envelope that alarms know of. */
const SEEN_QUARANTINE = 'alarms.quarantine';

/** More epochs than this are not left in one start: then something else is wrong. */
const MAX_EPOCHS_LEFT = 2;

/** @throws EdgeError, with all that had started closed again */
export async function startGateway(
  config: Config,
  version: string,
  report: Reporter,
  configuring?: Configuring,
): Promise<Gateway> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse())
      try {
        await closer();
      } catch (error) {
        report(`closing: ${errorLine(error)}`, 'warn'); // and go on: what is left open would outlive us
      }
  };
  for (let epochsLeft = 0; ; epochsLeft++)
    try {
      return await build(config, version, report, closers, close, configuring);
    } catch (error) {
      await close();
      // The chain's word on this log is written down by now: the next turn begins a new epoch.
      const isOver = error instanceof EdgeError && error.code === 'LOG_BEHIND_CHAIN';
      if (!isOver || epochsLeft === MAX_EPOCHS_LEFT) throw error;
    }
}

async function build(
  config: Config,
  version: string,
  tell: Reporter,
  closers: (() => Promise<void> | void)[],
  close: () => Promise<void>,
  configuring: Configuring | undefined,
): Promise<Gateway> {
  const startedAt = performance.now();
  const heard = new Heard();
  const report: Reporter = (line, level) => {
    if (level === 'warn') heard.hear(line);
    tell(line, level);
  };
  const warn = (line: string): void => report(line, 'warn');
  const { origin } = config.log;
  let chain: Anchoring = {};

  // What may be said by whom, before anybody says anything.
  const profiles = loadProfiles(config.profiles.folder);
  const isSealed = sealing(config, profiles);
  const ports = serialPorts(config, profiles);
  const numbers = new Numbers(keysFolder(config));
  /** Profiles by which devices are read here, by DID; of others only the kind is known. */
  const readBy = new Map<string, string>();
  const check = (device: Device, records: readonly SenmlRecord[]): void =>
    profiles.check(readBy.get(device.did) ?? device.kind, records);

  // Who we are, before anything is written in that name.
  const identity: Identity = openIdentity(config);

  // Store and log, in its epoch.
  const folder = join(config.dataFolder, 'chain');
  const place = new ChainPlace({ ...config.chain, folder, secretKey: identity.anchorKey, report });
  closers.push(() => place.stop());
  const epoch = await openEpoch({
    dataFolder: config.dataFolder,
    name: origin,
    did: identity.did,
    key: { publicKey: publicKeyOf(identity.logKey), sign: (message) => signEd25519(message, identity.logKey) },
    chainHead: (of) => place.head(of, CHAIN_FIRST_WORD_MS),
    maxBytes: config.retention.maxBytes,
    warn,
  });
  closers.push(() => epoch.close());
  const { store, log, devices, quarantine } = epoch;
  for (const line of profileWarnings(config, profiles, devices.list())) warn(`profiles: ${line}`);
  cleanKeys(keysFolder(config)); // the database's lock is ours now
  const issued = new IssuedTokens(store);
  issued.start(Date.now());
  const tokens = new Tokens(origin, identity.did, identity.keys, (id) => issued.get(id));
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

  const disk = new Disk(store, config.retention);

  // The accept path.
  const now = startClock({ source: config.clock.source, report: warn });
  const caps = new Caps();
  const gaps = new Gaps(store);
  const late = new LateEntries(store);
  const registry = new Registering({ config, identity, store, devices, caps, isSealed, report: warn });
  closers.push(() => registry.stop());
  const standing = (device: Device): Ending[] => endings(device, registry.registered(device), now());
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
    sealing: new Sealing({
      did: identity.did,
      privateKey: identity.keys.privateKey,
      isSealed,
      devices,
    }),
    check,
    disk,
    now,
    caps,
    alarm: warn,
    onDiskFull: () => retention?.refused(),
    registered: registry.registered,
    backlog: config.devices,
    ...config.intake,
  });
  const custodian = new Custodian({
    accept,
    devices,
    entries,
    boot: store.boot,
    privateKeyOf: (did) => (did === identity.did ? identity.keys.privateKey : identity.deviceKey(did)),
    endings: standing,
    check,
    registerOf: (device, name) => {
      const value = profiles.valueOf(readBy.get(device.did) ?? device.kind, name);
      return value && registerOf(value, device);
    },
  });
  await enrolSelf(devices, origin, identity);
  await epoch.begin({
    genesis: (records) => accept.say(records),
    carry: (bytes, source, stamp) => accept.carry(bytes, source, stamp),
  });
  closers.push(() => accept.idle());

  // Followers: the chain and the witnesses first, because they decide whether checkpoints may be signed.
  const checkpointer = new Checkpointer(log, {
    seconds: config.log.checkpointSeconds,
    entries: config.log.checkpointEntries,
    onError: (error) => warn(`log: ${errorLine(error)}`),
  });
  const following = registry.start(place, CHAIN_FIRST_WORD_MS);
  const crediting = Crediting.wanted(config)
    ? new Crediting({
        ...{ config, identity, log, store, entries, devices, caps, now, report: warn },
        registered: registry.registered,
        anchoredSize: () => chain.anchorer?.state.headSize ?? 0,
      })
    : undefined;
  let finalAnchorMs = 0;
  let wakeReaders = (): void => undefined;
  chain = await startAnchoring({
    ...{ config: config.chain, epoch, place, checkpointer, firstWordMs: CHAIN_FIRST_WORD_MS, report: warn },
    onBegun: (anchorer) => closers.push(() => anchorer.stop(finalAnchorMs)),
    onAnchored: () => {
      void epoch.remember(true);
      crediting?.anchored();
      wakeReaders();
    },
  });
  if (epoch.behind) throw await epoch.over;
  await following;
  if (crediting) {
    closers.push(() => crediting.stop());
    crediting.start();
    // Nobody waits for it: certificates are made all the same, and go out when it is there.
    crediting
      .follow(place, chain.anchorer?.state.contract ?? '', registry.registrar, CHAIN_FIRST_WORD_MS)
      .catch((error: unknown) => warn(`credits: ${errorLine(error)}`));
  }
  const witnessing = startWitnessing(config, identity, log, store, checkpointer, () => wakeReaders(), warn);
  closers.push(() => witnessing.witnesses.stop(finalAnchorMs));
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
    mayThin: (kind) => profiles.mayThin(kind),
    now,
    report: warn,
  });
  closers.push(() => retention?.stop());
  const checking = startChecking({
    ...{ config, identity, store, devices, entries, accept, disk, now, caps, report: warn },
    publish: (topic, bytes, qos) => mqtt.send(topic, bytes, qos),
  });
  if (checking) closers.push(() => stopChecking(checking));
  const alarms = new Alarms({
    rows: new AlarmRows(store),
    write: (statements) => store.write({ name: 'alarm', statements }),
    nowMs: () => now().receivedMs,
    maxOpen: config.alarms.maxOpen,
    onFull: () => caps.hit('alarms.maxOpen'),
    onTold: () => wakeReaders(),
    // Not `warn`: what is wrong with alarms is no alarm.
    report: (line) => tell(line, 'warn'),
  });
  alarms.start();
  closers.push(() => alarms.stop());
  const forgetting = new Forgetting({
    log,
    store,
    accept,
    devices,
    quarantine,
    // Copies from before an upgrade hold what was not forgotten then, too.
    asides: () => [...epoch.asides, ...formerCopies(store.path)],
    others: [
      forgettable(checking, store),
      ...tracesOf(store, devices, (names) => alarms.forget(names)),
      careTraces(store),
      registry.forgettable,
      custodian.forgettable,
    ],
    report: warn,
  });
  closers.push(() => forgetting.stop());
  forgetting.start();

  // Intake.
  const certificates = Certificates.open(config, () => now().clockSynced, warn);
  closers.push(() => certificates.stop());
  const clockSynced = (): boolean => now().clockSynced;
  const login = makeLogin(devices, tokens, clockSynced, (device) =>
    mayConnect(standing(device), now(), config.devices),
  );
  const guarded = guardLogins(
    checking ? admitStrangers(login, { devices, tokens, clockSynced, caps, ...config.checks }) : login,
    { caps, ...config.mqtt },
  );
  const mqtt: MqttIntake = new MqttIntake({
    ...config.mqtt,
    tls: certificates.of('mqtt', config.mqtt.tls),
    maxStrangers: config.checks.maxStrangers,
    caps,
    login: guarded.login,
    offerCheck: checking?.offer,
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
  const receipts = new Receipts({
    log,
    entries,
    devices,
    listening: () => mqtt.receiptReaders,
    publish: (topic, receipt) => mqtt.send(topic, receipt, 1),
  });
  receipts.start();
  const mqttPorts = await mqtt.start();
  closers.push(() => mqtt.stop());

  let endStreams: Api['endStreams'] = () => undefined;
  const people = new People({
    accept,
    issued,
    tokens,
    disconnect: (where) => {
      mqtt.disconnect(where);
      endStreams(where);
    },
  });
  people.start();
  await sayDeeds(config.dataFolder, (deed) => people.note({ ...deed, by: LOCAL }));
  closers.push(() => people.stop());
  const sessions = new Sessions(people);
  const enrolment = new Enrolment(devices, () => identity.makeDeviceKey(), profiles);
  const claiming = new Claiming({
    claims: new Claims(store),
    enrolment,
    people,
    tokens,
    origin,
    clockSynced: () => now().clockSynced,
    save: (statement) => store.write({ name: 'claim', statements: [statement] }),
  });
  const serial = await startReplaceableLines({
    ...{ ports, enrolment, custodian, devices, readBy, report },
    marks: new Marks(store),
    secret: identity.secret,
    nextNumber: (name, above) => numbers.next(name, above),
  });
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
    receipts,
    anchorer: chain.anchorer,
    registry,
    epoch,
    disk,
    retention,
    forgetting,
    ...witnessing,
    now,
    caps,
    certificates,
    startedAt,
    serialEntries: serial.entries,
    checkRows: checking?.checks,
    crediting,
    creditSamples: () => crediting?.samples() ?? [],
    configHealth: () => configuring?.health(),
    creditHealth: () => crediting?.health(),
    checkSamples: () => checkSamples(checking, mqtt.strangers),
    checkHealth: () => checkHealth(checking),
    flowsHealth: () => flowsHealth(join(config.dataFolder, 'flows')),
    alarms,
  };
  const watch = new Watch({
    ...{ alarms, heard, devices, quarantine, ...config.alarms },
    refused: accept.counts.quarantined,
    seenId: {
      get: () => Number(store.meta(SEEN_QUARANTINE) ?? 0),
      set: (id) => store.write({ name: 'alarm', statements: [setMeta(SEEN_QUARANTINE, String(id))] }),
    },
    health: () => health().parts,
    ownKind: GATEWAY_KIND,
    receipts: ({ id }) => entries.receiptsOfDevice(id, RECEIPTS_LOOKED_AT),
    report: (line) => tell(line, 'warn'),
  });
  const vitals = new Vitals({ ...parts, certificatesMinted: crediting && (() => crediting.summary().certificates) });
  vitals.start();
  closers.push(() => vitals.stop());
  const health = (): HealthView => describeHealth(parts, origin, identity.did, version);
  const failures = failedLogins(config.http.maxFailedLogins);
  const api = new Api(
    {
      ...parts,
      gaps,
      late,
      registration: registry.view,
      issued,
      audits: new Audits(store),
      people,
      sessions,
      claiming,
      care: new Caring({
        ...{ devices, entries, people, isSealed },
        cares: new Cares(store),
        billedOf: (kind) => profiles.billedOf(kind),
      }),
      config: configuring && {
        view: () => configuring.view(),
        reload: async (by) => {
          const done = await configuring.reload();
          const { sha256, taken, waiting } = done;
          const detail = { sha256, taken: taken.join(' '), waiting: waiting.join(' ') };
          await people.note({ by, action: 'config.reload', on: 'config', detail });
          return done;
        },
        restart: async (by) => {
          if (!configuring.view().restarts) configuring.restart(); // which says why it cannot be
          await people.note({ by, action: 'config.restart', on: 'config' });
          configuring.restart();
        },
      },
      review: new Review({ accept, custodian, quarantine }),
      failures,
      ...deeds(people, devices, enrolment, accept, forgetting),
      profiles: profilesPart(profiles, isSealed),
      vitals,
      alarms: alarmParts(alarms, watch, people),
      health,
      samples: () => [...collectSamples(parts), ...healthSamples(health())],
      console: () => buildConsole(join(config.dataFolder, 'cache')),
      ...witnessParts(witnessing, log),
      ...checkParts(checking, store, people),
      ...succession({ people, devices, enrolment, store, billedOf: (kind) => profiles.billedOf(kind) }),
      ...anchorParts(chain, log.origin),
      ...creditParts(crediting, {
        ...{ config, identity, log, store, entries, devices, people },
        anchorCovering: anchorParts(chain, log.origin).anchorCovering,
      }),
      certificateSchema: certificateSchema(),
    },
    {
      ...config.http,
      tls: certificates.of('http', config.http.tls),
      onReadersFull: () => caps.hit('http.maxEventStreams'),
      onTooManyFailures: () => caps.hit('http.maxFailedLogins'),
      version,
      onError: warn,
      onRequest: (line) => report(line, 'debug'),
    },
  );
  const httpPorts = await api.start();
  closers.push(() => api.stop());
  endStreams = api.endStreams;

  wakeReaders = () => {
    api.wake();
    retention?.wake();
  };
  log.onGrown = () => {
    checkpointer.wake();
    live.wake();
    api.wake();
    crediting?.grown();
  };
  log.onCheckpoint = () => {
    void epoch.remember();
    chain.anchorer?.wake();
    receipts.wake();
    witnessing.witnesses.wake();
    wakeReaders();
  };

  if (crediting) crediting.onChanged = () => api.wake();

  const reloading = new Reloading(config);
  followConfig(reloading, {
    ...{ accept, checkpointer, disk, retention, mqtt, certificates, serial, api, failures },
    anchorer: chain.anchorer,
    logins: guarded,
    ports: (next) => serialPorts(next, profiles),
  });

  configuring?.attach(reloading, () => certificates.reload());
  watch.start();
  closers.push(() => watch.stop());

  const info: RunInfo = {
    pid: process.pid,
    origin,
    did: identity.did,
    mqtt: `mqtt://${config.mqtt.host}:${mqttPorts.port}`,
    http: `http://${config.http.host}:${httpPorts.port}`,
    ...(mqttPorts.tlsPort ? { mqtts: `mqtts://${config.mqtt.tls.host}:${mqttPorts.tlsPort}` } : {}),
    ...(httpPorts.tlsPort ? { https: `https://${config.http.tls.host}:${httpPorts.tlsPort}` } : {}),
    ...(chain.anchorer ? { anchors: chain.anchorer.state.contract } : {}),
    ...(chain.rpc ? { rpc: chain.rpc } : {}),
  };
  closers.push(writeRunInfo(config.dataFolder, info));

  return {
    info,
    parts,
    health,
    sessions,
    reload: () => certificates.reload(),
    reloading,
    failed: Promise.race([store.lost, epoch.over]),
    close: async (anchorMs = 1_500) => {
      finalAnchorMs = anchorMs;
      await close();
      return final;
    },
  };
}

/** The gateway is a device of its own: what it says of itself in its log has its own signature. */
async function enrolSelf(devices: Devices, name: string, { did }: Identity): Promise<Device> {
  const sub = GATEWAY_SUB + name;
  return devices.get(did) ?? devices.enrol({ did, kind: GATEWAY_KIND, custody: 'gateway', sub }, Date.now());
}
