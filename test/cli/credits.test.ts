import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HOUR, idOf, SLOT, startRig, tokenOf } from '../api/certificates-rig.ts';
import { GATEWAY, LOG_KEY, makeFile } from '../credits/certificate-rig.ts';
import { edge } from '../support/cli.ts';
import { tempFolder } from '../support/temp.ts';

const credits = (...args: string[]) => edge(['credits', ...args]);

describe('sejong-edge credits', () => {
  it('says how it is used, and what is missing', async () => {
    const help = await credits('--help');
    expect([help.code, help.stderr]).toEqual([0, '']);
    for (const what of ['list', 'explain', 'export', 'verify', 'claim', 'withdraw', 'statement', 'rec'])
      expect(help.stdout).toContain(`credits ${what}`);
    for (const [args, why] of [
      [[], 'credits list'],
      [['lose'], 'credits list'],
      [['verify'], 'verify needs one argument'],
      [['claim', 'x'], 'claim needs --purpose'],
      [['withdraw', 'x'], 'withdraw needs --reason'],
      [['statement', '2026-11'], 'statement needs --metering-point'],
      [['rec', '2026-11'], 'rec needs --class and --confirmed'],
      [['verify', '/nowhere/at/all'], 'cannot read'],
    ] as const) {
      const { code, stderr } = await credits(...args);
      expect([code, stderr.startsWith('USAGE'), stderr.includes(why)], args.join(' ')).toEqual([2, true, true]);
    }
  });

  it('verifies a file offline, step by step, and says which one broke', async () => {
    const folder = tempFolder();
    const path = join(folder, 'certificate.json');
    const { bytes } = makeFile();
    writeFileSync(path, bytes);
    const good = await credits('verify', path, '--key', LOG_KEY, '--issuer', GATEWAY.did);
    expect([good.code, good.stderr]).toEqual([0, '']);
    const lines = good.stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toBe('The certificate holds.');
    expect(lines.slice(0, -1).map((line) => line.slice(0, 28).trimEnd())).toEqual(
      [
        ...['file format', 'claims', 'token', 'mint event', 'slot', 'registers', 'cap', 'envelopes'],
        ...['device signatures', 'checkpoint signature', 'inclusion', 'certificate proof', 'file proof'],
      ].map((name) => `ok    ${name}`),
    );
    const unpinned = await credits('verify', path);
    expect(unpinned.stdout).toContain('if key and issuer are those of a gateway that you trust');
    const at = Buffer.from(bytes).indexOf('"entry":"') + 40;
    const broken = Uint8Array.from(bytes);
    broken[at] = broken[at] === 0x41 ? 0x42 : 0x41;
    writeFileSync(path, broken);
    const bad = await credits('verify', path, '--key', LOG_KEY);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/^FAIL {2}(envelopes|device signatures) /m);
    expect(bad.stdout).toMatch(/^The certificate does NOT hold: (envelopes|device signatures)\.$/m);
  });

  it('lists, explains, exports, claims and withdraws over the API of a running gateway', async () => {
    const { gateway, url, plant, other, grid, addClaim, calls, balances } = await startRig();
    const to = ['--url', url, '--token', await gateway.token('operator'), '--data', gateway.config.dataFolder];
    const id = idOf(plant, 1);
    await addClaim(plant, SLOT + HOUR, 300, 'a claim');

    const list = await credits('list', '--metering-point', plant.sub, '--state', 'minted', ...to);
    expect([list.code, list.stderr]).toEqual([0, '']);
    expect(list.stdout.trimEnd().split('\n')).toHaveLength(3);
    expect(list.stdout).toMatch(new RegExp(`^${id}  2026-11-24T04:00:00Z +401 Wh  minted .* 300 Wh claimed`, 'm'));
    const json = JSON.parse((await credits('list', '--claimed', '--json', ...to)).stdout) as { id: string }[];
    expect(json.map((c) => c.id)).toEqual([id]);

    const { stdout } = await credits('explain', id, ...to);
    for (const line of [
      /^start +1000400 Wh \(1-0:2\.8\.0\) at 2026-11-24T04:00:00Z, read 2026-11-24T04:00:01Z, entry \d+$/m,
      /^difference +1000801 - 1000400 = 401 Wh$/m,
      /^cap +1050 Wh/m,
      /^root +\S+= of \d+ entries/m,
      /^minted +0x[0-9a-f]{64} in block \d+/m,
      /^claimed +300 Wh, k-re100, by 0x/m,
    ])
      expect(stdout).toMatch(line);
    expect((await credits('explain', idOf(other, 5), ...to)).stdout).toContain('refused (CREDIT_INVALID');

    const folder = tempFolder();
    const file = join(folder, 'one.json');
    expect((await credits('export', id, '--out', file, ...to)).code).toBe(0);
    expect((await credits('verify', file, '--key', gateway.parts.log.verifierKey)).code).toBe(0);
    expect((await credits('export', id, idOf(plant, 2), '--out', folder, ...to)).code).toBe(0);
    expect(existsSync(join(folder, `${idOf(plant, 2)}.json`))).toBe(true);
    const csv = join(folder, 'all.csv');
    await credits('export', '--csv', '--out', csv, ...to);
    expect(readFileSync(csv, 'utf8').trimEnd().split('\r\n')).toHaveLength(13);
    expect((await credits('export', ...to)).code).toBe(2);

    const claim = await credits('claim', id, '--purpose', 'donation', '--recipient', 'A School', '--wh', '50', ...to);
    expect([claim.code, claim.stderr]).toEqual([0, '']);
    expect(claim.stdout).toMatch(new RegExp(`^claimed +50 Wh of ${id}: donation\ntransaction 0x`));
    const named = await credits('claim', id, '--purpose', 'own-use', '--beneficiary', 'A Bakery', '--wh', '1', ...to);
    expect(named.stdout).toMatch(/^salt +[0-9a-f]{64} {2}keep it/m);
    expect(calls.map(([what, , , purpose, recipient]) => [what, purpose, recipient])).toEqual([
      ['claim', 2, 'A School'],
      ['claim', 0, ''],
    ]);
    const rec = [
      'rec',
      '2026-11',
      '--metering-point',
      plant.sub,
      '--class',
      'land',
      '--confirmed',
      '2026-01-31',
      ...to,
    ];
    expect(JSON.parse((await credits(...rec)).stdout)).toMatchObject({ statutory: false, energy: { appliedWh: 903 } });
    expect(
      JSON.parse((await credits('statement', '2026-11', '--metering-point', plant.sub, ...to)).stdout),
    ).toMatchObject({
      certified: { mintedWh: 1203 },
    });
    const locked = await credits(...rec, '--lock', 'KEA-1');
    expect(locked.stdout).toMatch(/^locked +903 Wh of 2026-11 for application KEA-1\ntransaction 0x/);
    calls.length = 0;
    const report = join(folder, 'building.json');
    const period = ['--from', '2026-11-24T03:00:00Z', '--to', '2026-11-24T09:00:00Z'];
    const asked = ['building', '--generation', plant.sub, '--generation', other.sub, '--grid', grid.sub, ...period];
    expect((await credits(...asked, '--out', report, ...to)).code).toBe(0);
    const held = await credits('verify', report, '--key', gateway.parts.log.verifierKey);
    expect([held.code, held.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, 'The evidence holds.']);
    expect((await credits('verify', report)).code).toBe(2);

    balances.set(tokenOf(plant), 0n);
    const sold = await credits('claim', id, '--purpose', 'own-use', ...to);
    expect([sold.code, sold.stderr.split(':')[0]]).toEqual([1, 'CREDIT_NOT_HELD']);
    const withdrawn = await credits('withdraw', id, '--reason', 'read wrongly', ...to);
    expect(withdrawn.stdout).toMatch(/^withdrawn +the day of .*\ntransaction 0x[0-9a-f]{64} in block 7$/m);
  });
});
