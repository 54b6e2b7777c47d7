import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Hex } from 'viem';
import { describe, expect, it } from 'vitest';
import { sendOnce } from '../../edge/chain/setup.ts';
import { type FraudProof, findFraud, readStatements, showFraud } from '../../edge/fraud.ts';
import { parseVerifierKey } from '../../edge/log/checkpoint.ts';
import { CHAIN_ID, CITY, TestChain } from '../support/anvil.ts';
import { edge } from '../support/cli.ts';
import type { TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { checkAnchors, wholeTruth } from '../support/whole-truth.ts';
import { allAnchored, City, chainState, healthOf, line, Meter } from './rig.ts';

const anchorsOf = async (gateway: TestGateway): Promise<string> => (await gateway.api('/anchors')).text;
const noteOf = async (gateway: TestGateway): Promise<string> =>
  (await gateway.api('/log/checkpoint', { token: null })).text;

/**
 * A gateway that shows two histories: a copy of its data folder runs with a copy of its chain, as it would if somebody
 * wanted two cities to believe different things. Both are honest code; each sees a chain that agrees with it.
 */
async function twoHistories() {
  const city = await City.build();
  const first = await city.gateway();
  const meter = await Meter.at(first);
  await meter.send(2);
  await allAnchored(first);
  await first.finish();
  await city.chain.stop(); // writes its state
  const [copy, chainCopy] = [tempFolder(), tempFolder()];
  cpSync(city.dataFolder, copy, { recursive: true });
  mkdirSync(chainCopy, { recursive: true });
  cpSync(join(city.chain.folder, 'anvil-state.json'), join(chainCopy, 'anvil-state.json'));
  await city.chain.start();
  const elsewhere = await TestChain.start(chainCopy);
  const here = await city.gateway();
  const there = await city.gateway({ rpc: elsewhere.rpc }, { dataFolder: copy });
  await (await Meter.at(here, meter.device)).send(2);
  const meterThere = await Meter.at(there, meter.device); // its counter goes on, so the entries differ
  await meterThere.send(2);
  await allAnchored(here);
  await allAnchored(there);
  expect(here.parts.log.size).toBe(there.parts.log.size);
  return { city, elsewhere, here, there, meterHere: await Meter.at(here, meter.device), meterThere };
}

describe('a log that shows two histories', () => {
  it('is caught by what it signed: proofs are found, written, shown, and freeze it on the chain for ever', async () => {
    const { city, here, there, meterHere, meterThere } = await twoHistories();
    const folder = tempFolder();
    mkdirSync(folder, { recursive: true });
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const key = here.parts.log.verifierKey;
    const a = file('a.note', await noteOf(here));
    const b = file('b.json', (await there.api('/entries/0/receipt')).text); // of the first checkpoint, which they share
    const bNote = file('b.note', await noteOf(there));

    // The same history up to the copy.
    const none = await edge(['fraud', a, b, '--key', key]);
    expect([none.code, none.stdout]).toEqual([0, `No contradiction in 2 statements of ${here.info.origin}.\n`]);

    // Two checkpoints of one size.
    const out = join(folder, 'proof.json');
    const found = await edge(['fraud', a, bNote, '--key', key, '--out', out]);
    expect(found.code, found.stderr).toBe(3);
    expect(found.stdout).toMatch(new RegExp(`^FRAUD {4}${here.info.origin} signed two trees of 5 entries\n`));
    const proof = JSON.parse(readFileSync(out, 'utf8')) as FraudProof & { kind: 'checkpoints' };
    expect([proof.a, proof.b]).toEqual([readFileSync(a, 'utf8'), readFileSync(bNote, 'utf8')]);
    const shown = await edge(['fraud', '--show', out, '--key', key]);
    expect([shown.code, shown.stdout]).toEqual([3, found.stdout]);
    expect((await edge(['fraud', a, bNote, '--key', key, '--out', out])).code, 'evidence is not written over').toBe(2);

    // Of different sizes: the log that is served, against a checkpoint that it does not contain.
    await meterHere.send(3);
    const url = `${here.info.http}/log`;
    const late = await edge(['fraud', bNote, '--key', key, '--log', url]);
    expect(late.code, late.stderr).toBe(3);
    expect(late.stdout).toContain('signed a tree of 5 entries that is not the beginning of its tree of 8 entries');
    expect((await edge(['fraud', a, '--key', key, '--log', url])).code, 'its own').toBe(0);

    // Heads, signed for the contract.
    const heads = [file('here.json', await anchorsOf(here)), file('there.json', await anchorsOf(there))];
    const frozen = await edge(['fraud', ...heads, '--key', key, '--rpc', city.chain.rpc, '--out', `${out}.heads`]);
    expect(frozen.code, frozen.stderr).toBe(3);
    expect(frozen.stdout).toContain(`by ${city.account.address}`);
    expect(frozen.stdout).toContain('the log is not frozen yet');
    const call = JSON.parse(readFileSync(`${out}.heads`, 'utf8')) as FraudProof & { kind: 'heads' };
    await allAnchored(here);
    const sizeBefore = (await city.contract.head(here.info.origin)).size;
    // Anybody may.
    await sendOnce(city.chain.client, CITY, CHAIN_ID, call.contract as Hex, call.freeze as Hex, 'freeze');
    expect(await city.contract.isFrozen(here.info.origin)).toBe(true);

    // The gateway says so, and keeps accepting.
    await meterHere.send(2);
    await line(here, /CHAIN_REFUSED: [^\n]*anchor\(10\) reverts with Frozen/);
    expect((await healthOf(here)).parts.chain?.detail).toContain('Frozen');
    expect(chainState(here).reachable).toBe(true);
    expect((await city.contract.head(here.info.origin)).size).toBe(sizeBefore);
    expect((await here.api('/entries/3/receipt?format=calldata')).status, 'what was anchored stays provable').toBe(200);
    await meterThere.client.endAsync();
    await there.finish();
    await here.finish();
    await checkAnchors(city.dataFolder, city.contract);
    wholeTruth(city.dataFolder);
  });
});

describe('a fraud proof', () => {
  it('is refused with anything in it changed, by any other key, and made of what does not contradict', async () => {
    const { here, there, elsewhere, meterThere } = await twoHistories();
    const key = parseVerifierKey(here.parts.log.verifierKey);
    const both = async (read: (g: TestGateway) => Promise<string>) => [
      ...readStatements(await read(here), key),
      ...readStatements(await read(there), key),
    ];
    const oldNote = await noteOf(here);
    const proofs = [await findFraud(await both(noteOf), undefined), await findFraud(await both(anchorsOf), undefined)];
    await meterThere.send(4);
    const { log } = there.parts;
    const tiles = async (level: number, n: number, width: number): Promise<Uint8Array> =>
      log.tile(level, n, width) ?? new Uint8Array();
    const later = [...readStatements(oldNote, key), ...readStatements(await noteOf(there), key)];
    proofs.push(await findFraud(later, tiles));
    expect(proofs.map((p) => p?.kind)).toEqual(['checkpoints', 'heads', 'consistency']);
    // Tiles that are not those of what was signed prove nothing.
    const wrong = async (level: number, n: number, width: number): Promise<Uint8Array> =>
      (await tiles(level, n, width)).map((byte) => byte ^ 1);
    await expect(findFraud(later, wrong)).rejects.toMatchObject({ code: 'LOG_UNREADABLE' });
    await expect(findFraud(later, async () => new Uint8Array(31))).rejects.toMatchObject({ code: 'LOG_UNREADABLE' });

    const other = parseVerifierKey(
      (await import('../../edge/log/checkpoint.ts')).encodeVerifierKey('other.example', key.publicKey),
    );
    for (const proof of proofs) {
      const text = JSON.stringify(proof);
      const { lines, signers } = await showFraud(text, key);
      expect(lines.length).toBeGreaterThan(2);
      const accounts = JSON.stringify(signers?.accounts);
      if (proof?.kind !== 'heads')
        await expect(showFraud(text, other)).rejects.toMatchObject({ code: 'RECEIPT_INVALID' });
      for (let at = 0; at < text.length; at += 13) {
        const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
        // A head that was changed is somebody else's, and the freezing call another: either is seen.
        const verdict = await showFraud(changed, key).then(
          (shown) => JSON.stringify(shown.signers?.accounts),
          (error: { code: string }) => error.code,
        );
        const where = `${proof?.kind} at ${at}: ${text.slice(at - 9, at + 9)}`;
        if (signers && verdict?.startsWith('[')) expect(verdict, where).not.toBe(accounts);
        else expect(verdict, where).toMatch(/_INVALID$/);
      }
      expect(accounts === undefined).toBe(proof?.kind !== 'heads');
    }
    // One against itself.
    const self = { ...proofs[0], b: (proofs[0] as FraudProof & { kind: 'checkpoints' }).a };
    await expect(showFraud(JSON.stringify(self), key)).rejects.toMatchObject({ code: 'FRAUD_INVALID' });
    await here.finish();
    await there.finish();
    await elsewhere.stop();
  });
});
