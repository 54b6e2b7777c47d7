/** All that a gateway needs of its machine, looked at from outside, beside a gateway that runs or before one does. */
import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { isHalfRestored } from '../backup/restore.ts';
import { lookAtChain } from '../chain/look.ts';
import { LastGood } from '../config/last-good.ts';
import type { Config } from '../config.ts';
import { EdgeError, errorLine } from '../errors.ts';
import { keysFolder, readPassphrase } from '../identity.ts';
import { Keystore } from '../keystore.ts';
import { type RunInfo, runInfo } from '../run-info.ts';
import { CityBundles } from '../store/checks.ts';
import { Store } from '../store/store.ts';
import { Certificates } from '../transport.ts';
import { examineClock } from './clock.ts';
import { examineDisk, examineFsync } from './disk.ts';
import { examineKeys, examineSerial } from './files.ts';
import { bad, bytes, type Finding, ok, warn } from './finding.ts';
import { examinePorts } from './ports.ts';

const CHAIN_MS = 5_000;
const HEALTH_MS = 5_000;
const DAY_MS = 86_400_000;
/** V8, the writer's thread and SQLite's pages; anvil on top of it where the chain is embedded. */
const LITTLE_MEMORY = 160 * 1024 * 1024;
const NO_MEMORY = 48 * 1024 * 1024;
const FEW_ANCHORS = 1000;

export type Examined = {
  config: Config;
  /** Undefined where there is none: a data folder alone. */
  configFile: string | undefined;
  /** A time server to ask, HOST or HOST:PORT. */
  timeServer: string | undefined;
};

export async function examine({ config, configFile, timeServer }: Examined): Promise<Finding[]> {
  const { dataFolder } = config;
  const info = running(dataFolder);
  const findings: Finding[] = [
    ...examineProgram(),
    ...(await examineClock(config.clock.source, timeServer)),
    ...examineDisk(dataFolder, config.retention.reserveBytes),
    examineFsync(dataFolder),
    ...examineKeys(config, configFile),
    ...(await examinePorts(config, info?.pid)),
    ...(await examineSerial(config, info !== undefined)),
    ...(await examineChain(config, info)),
    ...examineDatabase(config),
    ...examineCertificates(config),
  ];
  if (configFile !== undefined) findings.push(...examineLastGood(configFile));
  findings.push(...(await examineGateway(dataFolder, info)));
  return findings;
}

function running(dataFolder: string): RunInfo | undefined {
  const info = runInfo(dataFolder);
  return info && existsSync(`/proc/${info.pid}`) ? info : undefined;
}

/** What this very process has: whoever runs doctor runs the gateway with the same. */
export function examineProgram(): Finding[] {
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;
  const memory = `${bytes(available)} of ${bytes(totalmem())} can be had`;
  const todo = 'Stop what else runs here (Node-RED can run elsewhere), or add swap on a disk that stands it.';
  return [
    ok('node', `${process.version} on ${process.arch}`),
    available < NO_MEMORY
      ? bad('memory', memory, todo)
      : available < LITTLE_MEMORY
        ? warn('memory', memory, todo)
        : ok('memory', memory),
  ];
}

async function examineChain(config: Config, info: RunInfo | undefined): Promise<Finding[]> {
  const { chain } = config;
  if (chain.mode === 'none')
    return [
      warn(
        'chain',
        'none: nothing is anchored',
        'Set chain.mode to rpc: without anchors nobody but this box vouches for its log.',
      ),
    ];
  if (chain.mode === 'embedded' && !info?.rpc)
    return [ok('chain', 'embedded: it runs with the gateway, in the data folder')];
  const rpc = chain.mode === 'embedded' ? (info?.rpc as string) : chain.rpc;
  const anchors = chain.mode === 'embedded' ? (info?.anchors ?? '') : chain.anchors;
  const wanted = chain.mode === 'embedded' ? undefined : chain.chainId;
  let look: Awaited<ReturnType<typeof lookAtChain>>;
  try {
    look = await lookAtChain({ rpc, anchors, secretKey: anchorKey(config), timeoutMs: CHAIN_MS });
  } catch (error) {
    return [
      bad(
        'chain',
        error instanceof EdgeError ? error.detail : errorLine(error),
        'Look at chain.rpc and the way there. Readings are taken meanwhile, and the newest checkpoint makes up for all.',
      ),
    ];
  }
  const findings: Finding[] = [
    wanted !== undefined && look.chainId !== wanted
      ? bad('chain', `it is chain ${look.chainId}, chain.chainId says ${wanted}`, 'Correct chain.rpc or chain.chainId.')
      : ok('chain', `chain ${look.chainId} answers`),
    look.deployed
      ? ok('contract', `there is one at ${anchors}`)
      : bad(
          'contract',
          anchors === '' ? 'chain.anchors is empty' : `there is none at ${anchors}`,
          'sejong-edge deploy makes one, and says its address for chain.anchors.',
        ),
  ];
  if (look.account) {
    const { address, wei, anchorsLeft } = look.account;
    const said = `${address} has ${wei} wei, enough for ${Number.isFinite(anchorsLeft) ? `about ${anchorsLeft} anchors at this price` : 'as many anchors as wanted (gas is free)'}`;
    const todo = `Send it more; with chain.everySeconds ${chain.everySeconds} there are ${Math.ceil(86_400 / chain.everySeconds)} anchors a day at the most.`;
    findings.push(
      anchorsLeft < 1 ? bad('gas', said, todo) : anchorsLeft < FEW_ANCHORS ? warn('gas', said, todo) : ok('gas', said),
    );
  } else
    findings.push(
      warn(
        'gas',
        'the key of the account was not readable, so its balance is not known',
        'Run doctor as the user of the gateway, with its passphrase.',
      ),
    );
  // The chain's clock, too: a block cannot be of a time that has not come.
  if (wanted !== undefined && look.aheadMs > 60_000)
    findings.push(
      bad(
        'clock and chain',
        `the newest block is ${Math.round(look.aheadMs / 1000)} s ahead of this clock`,
        'Set the clock of this machine.',
      ),
    );
  return findings;
}

function anchorKey(config: Config): Uint8Array | undefined {
  try {
    if (!existsSync(join(keysFolder(config), 'anchor.key'))) return undefined;
    return Keystore.open(keysFolder(config), readPassphrase(config)).load('anchor');
  } catch {
    return undefined; // said by examineKeys
  }
}

function examineDatabase(config: Config): Finding[] {
  const { dataFolder, checks } = config;
  if (isHalfRestored(dataFolder))
    return [bad('database', 'a restore was cut off', 'Start the same sejong-edge restore again: it goes on.')];
  const path = join(dataFolder, 'edge.db');
  if (!existsSync(path)) return [ok('database', 'there is none yet: the first start makes it')];
  let store: Store;
  try {
    store = Store.read(path);
  } catch (error) {
    const earlier = error instanceof EdgeError && error.code === 'DATA_FORMAT' && /earlier/.test(error.detail);
    const said = error instanceof EdgeError ? error.detail : errorLine(error);
    return [
      earlier
        ? warn('database', said, 'The next start upgrades it, and keeps a copy: see that there is room for one.')
        : bad(
            'database',
            said,
            error instanceof EdgeError
              ? error.line.slice(error.line.indexOf(said) + said.length + 2)
              : 'See the log of the gateway.',
          ),
    ];
  }
  try {
    const findings = [
      ok('database', `${store.get<{ n: number }>('SELECT count(*) AS n FROM entries')?.n ?? 0} entries`),
    ];
    if (checks.cityDid !== '') findings.push(bundleAge(store, config));
    return findings;
  } catch (error) {
    return [
      bad('database', errorLine(error), 'Let the gateway start: it looks at the file and sets it aside if need be.'),
    ];
  } finally {
    void store.close();
  }
}

function bundleAge(store: Store, { checks }: Config): Finding {
  const held = new CityBundles(store).get(checks.cityDid);
  if (!held)
    return bad(
      'city bundle',
      'none has come: no vehicle is checked',
      'Drop one at checks.bundleFile, set checks.bundleUrl, or POST /city-bundle.',
    );
  const hours = (Date.now() - held.receivedMs) / 3_600_000;
  const said = `version ${held.version}, came ${hours.toFixed(1)} h ago`;
  const todo = 'See that checks.bundleUrl answers, or bring a new one: revocations since are not known here.';
  return hours * 3_600_000 > Math.max(DAY_MS, 3000 * checks.refreshSeconds)
    ? warn('city bundle', said, todo)
    : ok('city bundle', said);
}

function examineCertificates(config: Config): Finding[] {
  let certificates: Certificates;
  try {
    certificates = Certificates.open(
      config,
      () => true,
      () => undefined,
    );
  } catch (error) {
    return [bad('certificates', errorLine(error), 'Renew it: sejong-edge check-config names each file.')];
  }
  certificates.stop();
  return [...certificates].map(([name, certificate]) => {
    const { ok: good, detail } = certificate.health();
    if (good) return ok(`tls ${name}`, detail);
    const over = certificate.validToMs <= Date.now();
    return (over ? bad : warn)(`tls ${name}`, detail, 'Renew it in place: the gateway takes the new files by itself.');
  });
}

function examineLastGood(configFile: string): Finding[] {
  const { newest, path } = new LastGood(configFile);
  if (!newest)
    return [
      warn(
        'last good config',
        'there is none yet, so there is no way back from this one',
        'The first start that becomes ready makes it.',
      ),
    ];
  const same = readFileSync(configFile, 'utf8') === newest.text;
  return [
    same
      ? ok('last good config', 'is the one in the file')
      : warn(
          'last good config',
          `${path} differs from the file, which no start has proven yet`,
          'sejong-edge config apply, or restart the gateway: it goes back by itself where the file is no good.',
        ),
  ];
}

async function examineGateway(dataFolder: string, info: RunInfo | undefined): Promise<Finding[]> {
  if (!info) return [ok('gateway', `none runs on ${dataFolder}`)];
  try {
    const answer = await fetch(`${info.http}/health`, { signal: AbortSignal.timeout(HEALTH_MS) });
    const { parts, version } = (await answer.json()) as {
      version: string;
      parts: Record<string, { ok: boolean; detail: string }>;
    };
    const unwell = Object.entries(parts).filter(([name, part]) => !part.ok && name !== 'clock');
    return [
      ok('gateway', `pid ${info.pid}, version ${version}, answers at ${info.http}`),
      ...unwell.map(([name, { detail }]) =>
        warn(`gateway: ${name}`, detail, 'See GET /alarms and the log of the gateway for what to do.'),
      ),
    ];
  } catch (error) {
    return [
      bad(
        'gateway',
        `pid ${info.pid} does not answer at ${info.http} (${errorLine(error)})`,
        'See its log; a watchdog restarts it under systemd.',
      ),
    ];
  }
}
