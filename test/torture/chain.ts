/** The chain under fire: its own power cuts, and a network that lies, hangs and cuts. Intake never notices. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { AnchorsContract } from '../../edge/chain/contract.ts';
import { rpcClient } from '../../edge/chain/rpc.ts';
import { sequence } from '../../firmware-sim/random.ts';
import { type Ask, ChainProxy, type Fate, processesWith } from '../support/anvil.ts';
import { until } from '../support/temp.ts';
import { checkAnchors } from '../support/whole-truth.ts';
import type { Attack } from './attack.ts';
import { Site } from './site.ts';

const ANCHORED_WITHIN_MS = 60_000;

/** The chain's head is at least there. */
const anchored = (site: Site, size: number): Promise<void> =>
  until(
    async () => (await site.metric('anchored_size').catch(() => -1)) >= size,
    `${size} entries anchored`,
    ANCHORED_WITHIN_MS,
  );

const anvilsOf = (site: Site): number[] =>
  processesWith(join(site.data, 'chain')).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith('anvil'),
  );

const powerCut: Attack = {
  name: 'chain-killed',
  says: 'SIGKILL of the embedded chain, whose last seconds are gone then: anchors go on',
  run: async ({ seed, short, say }) => {
    const random = sequence(seed ^ 0xc41);
    const site = await Site.build({ seed, chain: 'embedded' });
    await site.up();
    await site.load();
    await site.grows(50);
    await anchored(site, 50);
    const kills = short ? 1 : 12;
    for (let i = 0; i < kills; i++) {
      await wait(random() * 1500);
      const pids = anvilsOf(site);
      if (pids.length !== 1) throw new Error(`${pids.length} chains of the gateway`);
      process.kill(pids[0] as number, 'SIGKILL');
      await site.grows(20);
      await anchored(site, site.size());
      site.look();
      say(`${i + 1} of ${kills} power cuts, ${site.size()} entries`);
    }
    const held = await site.drain();
    await anchored(site, site.size());
    const { rpc, anchors: address } = site.info();
    const anchors = await checkAnchors(site.data, new AnchorsContract(rpcClient(rpc), address));
    const { entries, checkpoints } = await site.finish();
    return {
      counts: { 'power cuts': kills, acked: site.acked, entries, checkpoints, anchors },
      lost: site.lost + held,
      twice: site.twice,
      ok: site.whole && held === 0 && anchors > 0 && site.acked > 0,
      detail: site.verdict,
    };
  },
};

const STILL_MS = 5000;

/** One answer in three is the chain's own. */
function chaos(random: () => number, counts: Record<string, number>): (ask: Ask) => Fate {
  const fates = (method: string): Fate => {
    const x = random();
    if (x < 0.35) return 'forward';
    if (x < 0.36) return 'hang';
    if (x < 0.55) return 'drop';
    if (x < 0.7) return { error: 'header not found' };
    if (x < 0.75) return { status: 502, body: '<html>Bad Gateway</html>' };
    if (method === 'eth_chainId') return { result: x < 0.9 ? '0x1' : 'what?' };
    if (method === 'eth_sendRawTransaction') return x < 0.9 ? { sent: 'drop' } : { error: 'busy', sent: true };
    return x < 0.85 ? { result: null } : 'forward';
  };
  return ({ method }) => {
    const fate = fates(method);
    const kind = typeof fate === 'string' ? fate : Object.keys(fate).includes('sent') ? 'unheard' : 'lied';
    counts[kind] = (counts[kind] ?? 0) + 1;
    return fate;
  };
}

const rpcChaos: Attack = {
  name: 'chain-chaos',
  says: 'an RPC that hangs, cuts, errs and names another chain at random, all the time: intake never notices',
  run: async ({ seed, short, say }) => {
    let proxy: ChainProxy | undefined;
    const site = await Site.build({
      seed,
      chain: 'rpc',
      proxy: async (chain) => {
        proxy = await ChainProxy.start(chain);
        return proxy;
      },
    });
    if (!proxy) throw new Error('no proxy');
    await site.up();
    await site.load();
    await site.grows(50);
    const asked: Record<string, number> = {};
    proxy.fate = chaos(sequence(seed ^ 0xca05), asked);
    let stalls = 0;
    const rounds = short ? 1 : 12;
    for (let round = 0; round < rounds; round++) {
      const before = site.size();
      await wait(STILL_MS);
      if (site.size() === before) stalls++;
      site.look();
      say(`${round + 1} of ${rounds}: ${site.acked} acknowledged, ${proxy.asked.length} requests`);
    }
    proxy.fate = () => 'forward';
    const held = await site.drain();
    const size = site.size();
    await anchored(site, size);
    // Mined is not yet final in the store's rows.
    await until(async () => (await site.metric('anchors_pending').catch(() => -1)) === 0, 'no anchor on its way');
    const { entries, checkpoints, anchors } = await site.finish();
    return {
      counts: { ...asked, acked: site.acked, entries, checkpoints, anchors, stalls },
      lost: site.lost + held,
      twice: site.twice,
      ok: site.whole && held === 0 && stalls === 0 && anchors > 0 && entries === size && site.acked > 0,
      detail: site.verdict,
    };
  },
};

export const attacks: readonly Attack[] = [powerCut, rpcChaos];
