/**
 * A gateway in a process of its own under load, that may be killed and started again at the same place; beside it what
 * remembers each promise that it made: the devices' acknowledgements, enrolments, counters, and every checkpoint served.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { type Hex, toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { AnchorsContract } from '../../edge/chain/contract.ts';
import { EMBEDDED_CHAIN_ID } from '../../edge/chain/embedded.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { localToken } from '../../edge/commands/local.ts';
import { loadConfig } from '../../edge/config-file.ts';
import { openIdentity } from '../../edge/identity.ts';
import { openCheckpoint, parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { runInfo } from '../../edge/run-info.ts';
import { decodeEnvelope } from '../../edge/wire/envelope.ts';
import { TestChain } from '../support/anvil.ts';
import { type Running, start } from '../support/cli.ts';
import { onTestFinished } from '../support/ends.ts';
import { TestDevice } from '../support/gateway.ts';
import { SealedTruth } from '../support/sealed-truth.ts';
import { tempFolder } from '../support/temp.ts';
import { checkAnchors, PlainTree, wholeTruth } from '../support/whole-truth.ts';

export type SiteOptions = {
  seed: number;
  /** `rpc` is a chain of this process, so that it outlives the gateway. */
  chain: 'rpc' | 'embedded' | 'none';
  /** What stands between the gateway and a chain of mode rpc. */
  proxy?: (chain: TestChain) => Promise<{ rpc: string }>;
  /** More lines of the config. */
  config?: string;
  /** Sampling period of each of the twelve devices, in s. */
  every?: number;
};

const MEMBERS = ['--meters', '8', '--plants', '2', '--vehicles', '2'];
const ANCHORING = 'everySeconds: 1, pollSeconds: 0.2, confirmations: 1, stuckSeconds: 2';
const GROWS_WITHIN_MS = 60_000;
const ENROL_EVERY_MS = 150;
const WATCH_EVERY_MS = 20;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Ports that were free a moment ago: the devices must find the gateway again at the same place. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (s) =>
        new Promise<number>((resolve) =>
          s.listen(0, '127.0.0.1', () => resolve((s.address() as { port: number }).port)),
        ),
    ),
  );
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports;
}

export class Site {
  readonly data: string;
  readonly config: string;
  readonly mqtt: string;
  readonly http: string;
  readonly origin: string;
  readonly #o: SiteOptions;
  readonly #folder: string;
  readonly chain: TestChain | undefined;
  readonly #contract: Hex | undefined;
  gateway: Running | undefined;
  #sim: Running | undefined;
  #beside: Promise<unknown>[] = [];
  #watching = false;

  /** Every checkpoint that anybody could have seen, kept as an auditor would. */
  readonly #seen = new Map<number, string>();
  /** DIDs whose enrolment was answered with 201, and how many of them were looked for on disk. */
  readonly enrolled: string[] = [];
  #enrolledChecked = 0;
  /** Lines of the acknowledgements that were looked for already, in bytes of their file. */
  #ackedBytes = 0;
  acked = 0;
  /** By DID: the highest counter that the table ever showed. */
  readonly #counters = new Map<string, [epoch: number, seq: number, entries: number]>();
  #entries = 0;

  lost = 0;
  twice = 0;
  /** Counters, or the log, that went back. */
  back = 0;
  /** Two checkpoints of one size, or one that the log contradicts. */
  forks = 0;

  private constructor(o: SiteOptions, folder: string, ports: number[], chain: TestChain | undefined, contract?: Hex) {
    const [mqtt, http] = ports;
    this.#o = o;
    this.#folder = folder;
    this.data = join(folder, 'data');
    this.config = join(folder, 'edge.yaml');
    this.mqtt = `mqtt://127.0.0.1:${mqtt}`;
    this.http = `http://127.0.0.1:${http}`;
    this.chain = chain;
    this.#contract = contract;
    this.origin = loadConfig(this.config).log.origin;
  }

  /** Everything but the gateway: the config, and the chain with a contract of the gateway's own. */
  static async build(o: SiteOptions): Promise<Site> {
    const folder = tempFolder();
    const ports = await freePorts(2);
    const config = join(folder, 'edge.yaml');
    const text = (chain: string): string =>
      `dataFolder: ${join(folder, 'data')}\nmqtt: {port: ${ports[0]}}\nhttp: {port: ${ports[1]}}\n` +
      `log: {checkpointSeconds: 0.3}\nchain: {${chain}}\n${o.config ?? ''}\n`;
    if (o.chain !== 'rpc') {
      writeFileSync(config, text(`mode: ${o.chain}, ${ANCHORING}`));
      return new Site(o, folder, ports, undefined);
    }
    const chain = await TestChain.start(join(folder, 'chain'));
    const { rpc } = (await o.proxy?.(chain)) ?? chain;
    writeFileSync(config, text('mode: none'));
    const account = privateKeyToAccount(toHex(openIdentity(loadConfig(config)).anchorKey));
    await chain.fund(account.address);
    const { address } = await chain.deploy(account, loadConfig(config).log.origin);
    writeFileSync(
      config,
      text(`mode: rpc, rpc: "${rpc}", chainId: ${EMBEDDED_CHAIN_ID}, anchors: "${address}", ${ANCHORING}`),
    );
    return new Site(o, folder, ports, chain, address);
  }

  /** @param faults as SEJONG_EDGE_FAULTS has them */
  launch(faults = ''): Running {
    return start(process.execPath, ['edge/main.ts', 'run', '--config', this.config], {
      env: { SEJONG_EDGE_FAULTS: faults },
    });
  }

  /** Starts the gateway, and does not wait until it is ready. */
  begin(faults = ''): Running {
    this.gateway = this.launch(faults);
    return this.gateway;
  }

  async up(faults = ''): Promise<void> {
    await this.begin(faults).line(/"msg":"ready"/);
  }

  token(): Promise<string> {
    return localToken(loadConfig(this.config), 'torture', 'operator', 7200);
  }

  #simulate(more: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
    const where = ['--mqtt', this.mqtt, '--origin', this.origin, '--state', join(this.#folder, 'sim')];
    const how = ['--seed', String(this.#o.seed), '--window', '32', '--drain', '240', '--acked', this.#ackedPath];
    return start(process.execPath, ['firmware-sim/main.ts', 'steady', ...where, ...MEMBERS, ...how, ...more], { env });
  }

  get #ackedPath(): string {
    return join(this.#folder, 'acked.log');
  }

  /** Twelve devices that measure, somebody who enrols more and more, and somebody who keeps each checkpoint. */
  async load(): Promise<void> {
    const token = await this.token();
    const more = ['--api', this.http, '--every', String(this.#o.every ?? 0.1)];
    this.#sim = this.#simulate(more, { SEJONG_TOKEN: token });
    this.#watching = true;
    onTestFinished(() => this.#still());
    this.#beside = [this.#watch(), this.#enrolAll(token)];
  }

  async #still(): Promise<void> {
    this.#watching = false;
    await Promise.all(this.#beside);
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      const note = await this.read('/log/checkpoint').catch(() => '');
      const size = Number(note.split('\n')[1] ?? 0);
      if (size > 0) {
        if ((this.#seen.get(size) ?? note) !== note) this.forks++;
        this.#seen.set(size, note);
      }
      await wait(WATCH_EVERY_MS);
    }
  }

  /** Of the i-th device that is enrolled beside the load, as TestDevice knows it. */
  nameOf(i: number): string {
    return `torture ${this.#o.seed} ${i}`;
  }

  async #enrolAll(token: string): Promise<void> {
    for (let i = 0; this.#watching; ) {
      const { did } = new TestDevice(this.nameOf(i));
      const answer = await fetch(`${this.http}/devices`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ did, kind: 'meter', custody: 'device', sub: `urn:sejong:mp:t${i}` }),
      }).catch(() => undefined);
      // 409: it was on disk though nobody had been told so.
      if (answer?.status === 201 || answer?.status === 409) {
        this.enrolled.push(did);
        i++;
      }
      await wait(ENROL_EVERY_MS);
    }
  }

  /** @throws where nobody answers 200 within 5 s */
  async read(path: string): Promise<string> {
    const answer = await fetch(this.http + path, { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
    return answer.text();
  }

  async metric(name: string): Promise<number> {
    const text = await this.read('/metrics');
    return Number(new RegExp(`^sejong_edge_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  }

  #open(): Database.Database | undefined {
    const path = join(this.data, 'edge.db');
    return existsSync(path) ? new Database(path, { readonly: true }) : undefined;
  }

  /** Entries on disk. */
  size(): number {
    const db = this.#open();
    try {
      return (db?.prepare('SELECT count(*) FROM entries').pluck().get() as number | undefined) ?? 0;
    } catch {
      return 0; // before the first start has made the tables
    } finally {
      db?.close();
    }
  }

  /** Load is the point: resolves when so many more entries came in, however slow the machine. */
  async grows(by: number): Promise<void> {
    const goal = this.size() + by;
    for (const end = Date.now() + GROWS_WITHIN_MS; this.size() < goal; ) {
      if (Date.now() > end)
        throw new Error(`no ${by} more entries in time; the gateway said ${this.gateway?.lines.slice(-3).join(' | ')}`);
      await wait(50);
    }
  }

  /** Everything promised since the last look is on disk, and no counter is lower than it was. */
  look(): void {
    const lines = existsSync(this.#ackedPath) ? readFileSync(this.#ackedPath).subarray(this.#ackedBytes) : Buffer.of();
    const whole = lines.subarray(0, lines.lastIndexOf(0x0a) + 1);
    const db = this.#open();
    if (!db) return;
    try {
      if (db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0) return;
      const entry = db.prepare(
        `SELECT idx, envelope FROM entries
           WHERE device = (SELECT id FROM devices WHERE did = ?) AND epoch = ? AND seq = ?`,
      );
      const truth = new SealedTruth(db, db.prepare("SELECT value FROM meta WHERE key = 'did'").pluck().get() as string);
      for (const line of whole.toString().split('\n').slice(0, -1)) {
        const [did, epoch, seq, hash] = line.split(' ') as [string, string, string, string];
        const held = entry.get(did, Number(epoch), Number(seq)) as { idx: number; envelope: Uint8Array } | undefined;
        const seal = held && truth.read(held.idx, held.envelope);
        if (!held || sha256(seal?.kind === 'held' ? seal.envelope : held.envelope) !== hash) this.lost++;
        this.acked++;
      }
      this.#ackedBytes += whole.length;
      const device = db.prepare('SELECT 1 FROM devices WHERE did = ?').pluck();
      for (; this.#enrolledChecked < this.enrolled.length; this.#enrolledChecked++)
        if (device.get(this.enrolled[this.#enrolledChecked]) !== 1) this.lost++;
      this.#lookAtCounters(db);
    } finally {
      db.close();
    }
  }

  #lookAtCounters(db: Database.Database): void {
    const rows = db
      .prepare<[], { did: string; epoch: number; seq: number; entries: number }>(
        'SELECT did, epoch, seq, entries FROM counters JOIN devices ON devices.id = counters.device',
      )
      .all();
    const now = new Map(rows.map((r) => [r.did, [r.epoch, r.seq, r.entries] as [number, number, number]]));
    for (const [did, [epoch, seq, entries]] of this.#counters) {
      const next = now.get(did) ?? [-1, -1, 0];
      if (next[0] < epoch || (next[0] === epoch && next[1] < seq) || next[2] < entries) this.back++;
    }
    for (const [did, counter] of now) this.#counters.set(did, counter);
    const entries = db.prepare('SELECT count(*) FROM entries').pluck().get() as number;
    if (entries < this.#entries) this.back++;
    this.#entries = entries;
  }

  /** The devices stop measuring and drain what they hold. @returns envelopes that nobody took */
  async drain(): Promise<number> {
    if (!this.#sim) return 0;
    await this.#sim.stop('SIGTERM');
    await this.#still();
    const held = (sim: Running): number => (JSON.parse(sim.lines.at(-1) as string) as { buffered: number }).buffered;
    if (held(this.#sim) === 0) return 0;
    // A hurried stop leaves envelopes in the journals: they go out in a last run.
    const rest = this.#simulate(['--no-enroll', '--every', '0.2', '--for', '0.3']);
    await rest.ended;
    return held(rest);
  }

  /**
   * Drains the devices, stops the gateway cleanly, and reads the whole truth of what it leaves behind. The gateway
   * must be up.
   * @throws where something is not as it was promised, and is no number of this object
   */
  async finish(): Promise<{ entries: number; checkpoints: number; anchors: number }> {
    const held = await this.drain();
    if (held > 0)
      throw new Error(`${held} envelopes were never acknowledged; ${this.gateway?.lines.slice(-3).join('\n')}`);
    const code = await this.gateway?.stop('SIGTERM');
    if (code !== 0) throw new Error(`the gateway ended with ${code}: ${this.gateway?.lines.slice(-5).join('\n')}`);
    this.look();
    this.#countTwice();
    const truth = wholeTruth(this.data, { verifyOneIn: 50 });
    if (truth.quarantined.size > 0)
      throw new Error(`honest devices were refused: ${JSON.stringify([...truth.quarantined])}`);
    const checkpoints = this.#seen.size;
    this.#compareCheckpoints();
    return { entries: truth.entries, checkpoints, anchors: await this.#anchors() };
  }

  #countTwice(): void {
    const db = this.#open() as Database.Database;
    this.twice += db.prepare('SELECT count(*) - count(DISTINCT envelope) FROM entries').pluck().get() as number;
    db.close();
  }

  #compareCheckpoints(): void {
    const db = this.#open() as Database.Database;
    const read = db.prepare<[], { note: string; size: number }>('SELECT size, note FROM checkpoints').all();
    const stored = new Map(read.map((r) => [r.size, r.note]));
    // Entry 0 names the key of the log.
    const genesis = db.prepare('SELECT envelope FROM entries WHERE idx = 0').pluck().get() as Uint8Array;
    const { records } = decodeEnvelope(new Uint8Array(genesis));
    const key = parseVerifierKey(records.find((r) => r.n === 'log-key')?.vs as string);
    const tree = new PlainTree();
    for (const envelope of db.prepare<[], Uint8Array>('SELECT envelope FROM entries ORDER BY idx').pluck().iterate()) {
      tree.add(envelope as Uint8Array);
      const note = this.#seen.get(tree.size);
      if (note === undefined) continue;
      // Published means stored before: a checkpoint that was served is of this size for ever.
      if (!Buffer.from(openCheckpoint(note, key).root).equals(tree.root()) || stored.get(tree.size) !== note)
        this.forks++;
      this.#seen.delete(tree.size);
    }
    this.forks += this.#seen.size; // beyond the log
    db.close();
  }

  /** Every root on the chain is one of the log's, each size once, and nothing of ours was sent in vain. */
  async #anchors(): Promise<number> {
    if (!this.chain || !this.#contract) return 0;
    const checked = await checkAnchors(this.data, new AnchorsContract(rpcClient(this.chain.rpc), this.#contract));
    const mined = await this.chain.anchorsMined(this.#contract);
    this.twice += mined.length - new Set(mined).size;
    return Math.min(checked, mined.length);
  }

  /** Where a running gateway has its own chain. */
  info(): { rpc: string; anchors: Hex } {
    return runInfo(this.data) as { rpc: string; anchors: Hex };
  }

  /** Nothing acknowledged is lost, nothing is twice, nothing went back, no checkpoint was contradicted. */
  get whole(): boolean {
    return this.lost === 0 && this.twice === 0 && this.back === 0 && this.forks === 0;
  }

  get verdict(): string {
    return `${this.back} counters back, ${this.forks} forks`;
  }
}
