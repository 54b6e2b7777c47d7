/** "Verify this", in a real browser: each format good, tampered bytes red, the gateway off, and the page as a file. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect, it, vi } from 'vitest';
import { type BundleHead, encodeEnd, encodeEntry, encodeHead } from '../../edge/log/bundle.ts';
import { encodeVerifierKey } from '../../edge/log/checkpoint.ts';
import { cosign } from '../../edge/log/cosignature.ts';
import { parseReceipt, type Receipt } from '../../edge/log/receipt.ts';
import { utf8Bytes } from '../../edge/wire/bytes.ts';
import { publicKeyOf, signEd25519 } from '../../edge/wire/ed25519.ts';
import { allAnchored, City, Meter } from '../chain/rig.ts';
import { LOG_KEY, makeFile } from '../credits/certificate-rig.ts';
import { TestDevice, type TestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';
import { flaws, hasBrowser, openConsole, PHONE, useBrowser, WALL } from './browser.ts';
import { shared } from './shared.ts';

useBrowser();
vi.setConfig({ testTimeout: 120_000 }); // many verifications one after the other, in a browser

const FORMATS = ['json', 'tlog-proof', 'cose', 'calldata'] as const;
type Format = (typeof FORMATS)[number];

const receiptOf = async (gateway: TestGateway, index: number, format: Format): Promise<Uint8Array> => {
  const answer = await fetch(`${gateway.info.http}/entries/${index}/receipt?format=${format}`);
  return new Uint8Array(await answer.arrayBuffer());
};

/** Gives files to the page, in the place of those before, and waits for the end. */
async function given(
  page: Page,
  ...files: { name: string; bytes: Uint8Array }[]
): Promise<'ok' | 'failed' | 'refused'> {
  const remove = page.locator('.v-files button');
  for (let left = await remove.count(); left > 0; left--) await remove.first().click();
  await page.locator('.v-verdict').waitFor({ state: 'detached' });
  await page
    .locator('input[type=file]')
    .setInputFiles(
      files.map(({ name, bytes }) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(bytes) })),
    );
  return verdict(page);
}

/** As a pointer drops it. */
async function dropped(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const base64 = Buffer.from(bytes).toString('base64');
  const transfer = await page.evaluateHandle(`{
    const transfer = new DataTransfer();
    const bytes = Uint8Array.from(atob('${base64}'), (c) => c.charCodeAt(0));
    transfer.items.add(new File([bytes], '${name}'));
    transfer;
  }`);
  await page.locator('.v-drop').dispatchEvent('drop', { dataTransfer: transfer });
}

async function verdict(page: Page): Promise<'ok' | 'failed' | 'refused'> {
  const done = page.locator('.v-verdict:not([data-state=running])');
  await done.waitFor();
  return (await done.getAttribute('data-state')) as 'ok';
}

const states = (page: Page): Promise<string[]> =>
  page.locator('.v-step').evaluateAll((all) => all.map((li) => `${li.dataset.step}: ${li.dataset.state}`));

const verifierKeyOf = (name: string): string => encodeVerifierKey(name, publicKeyOf(new Uint8Array(32).fill(7)));

/** Park and Miller's generator: whole numbers below n. */
function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % n;
  };
}

const GOOD = [
  'receipt format: ok',
  'canonical bytes: ok',
  'device signature: ok',
  'checkpoint signature: ok',
  'inclusion: ok',
  'anchored root: ok',
];

/** A gateway on a chain: a sealed meter (entries 1 and 2), an open P-256 sensor (3) and Ed25519 one (4), all anchored. */
async function build() {
  const city = await City.build();
  const gateway = await city.gateway();
  const meter = await Meter.at(gateway);
  await meter.send(2);
  const sensors: TestDevice[] = [];
  for (const [name, keyType] of [
    ['hall', 'P-256'],
    ['roof', 'Ed25519'],
  ] as const) {
    const sensor = await new TestDevice(name, 'sensor', keyType).enrol(gateway);
    sensors.push(sensor);
    await Meter.at(gateway, sensor).then((m) => m.send(1));
  }
  await allAnchored(gateway);
  await fetch(gateway.info.http); // makes the console, before a browser waits for it
  return { city, gateway, meter, roof: sensors[1] as TestDevice, key: gateway.parts.log.verifierKey };
}

const world = shared(build, 120_000);

/** Exactly one step is red, with a sign and words; those after it say that they were not reached. */
async function turnsRed(page: Page, why: string): Promise<string> {
  const all = (await states(page)).map((step) => step.split(': ')[1]);
  const at = all.indexOf('failed');
  expect(at, `${why}: ${all.join()}`).toBeGreaterThanOrEqual(0);
  expect(
    all.slice(0, at).every((state) => state === 'ok'),
    why,
  ).toBe(true);
  expect(
    all.slice(at + 1).every((state) => state === 'unreached'),
    why,
  ).toBe(true);
  const step = page.locator('.v-step.failed');
  expect(await step.locator('.v-step-sign').textContent()).toBe('✕');
  expect(await step.locator('.v-step-state').textContent()).toBe('does not hold');
  expect(await step.locator('.v-step-detail').textContent()).toMatch(/^[A-Z_]+: .+/);
  expect(await page.locator('.v-verdict').textContent()).toContain('It does not hold');
  expect(await page.locator('.v-verdict').getAttribute('role')).toBe('status');
  return (await step.getAttribute('data-step')) as string;
}

const set = (page: Page, field: string, value: string): Promise<void> => page.locator(`#trust-${field}`).fill(value);

it.skipIf(!hasBrowser)('each format holds, and with any byte changed the page turns red', async () => {
  const { city, gateway, key } = world();
  const page = await openConsole(gateway, '#/verify', { role: null });
  expect(await page.locator('#trust-key').inputValue()).toBe(key);
  expect(await page.locator('#trust-contract').inputValue()).toBe(city.contract.address);
  const next = random(20_261_125);
  const failedAt = new Set<string>();
  for (const [n, format] of FORMATS.entries())
    for (const index of [n % 2 ? 3 : 4]) {
      const bytes = await receiptOf(gateway, index, format);
      expect(await given(page, { name: `entry.${format}`, bytes }), `${format} of ${index}`).toBe('ok');
      expect(await states(page)).toEqual(GOOD);
      expect(await page.locator('.v-verdict').textContent()).toContain('It holds');
      expect(await page.locator('.v-records').textContent()).toContain('temperature');
      // In JSON all but the hint where it is anchored, which nobody trusts.
      const most = format === 'json' ? Buffer.from(bytes).indexOf(',"anchor":') : bytes.length;
      for (let i = 0; i < 3; i++) {
        const at = next(most);
        const why = `${format} of ${index}, byte ${at}`;
        const changed = bytes.with(at, (bytes[at] as number) ^ (1 << next(8)));
        expect(await given(page, { name: `entry.${format}`, bytes: changed }), why).toBe('failed');
        failedAt.add(await turnsRed(page, why));
      }
    }
  expect(failedAt.size, `failed at ${[...failedAt]}`).toBeGreaterThanOrEqual(3);
  // A byte of the reading itself, so that it stays CBOR: the device did not sign that.
  const cose = await receiptOf(gateway, 3, 'cose');
  await given(page, { name: 'x', bytes: cose.with(Buffer.from(cose).indexOf('temperature'), 0x54) });
  expect(await turnsRed(page, 'the name')).toBe('device signature');
  expect(await page.locator('.v-reading').textContent()).toContain('Not to be believed');
  expect(await flaws(page)).toEqual([]);
});

it.skipIf(!hasBrowser)(
  'holds files against what the auditor trusts: key, contract, node, openings, neighbours',
  async () => {
    const { gateway, roof, key } = world();
    // A gap between two readings of one device, which the gateway declares lost.
    const offer = (seq: number) => gateway.parts.accept.offer(roof.envelope({ seq }), { did: roof.did, topic: 'test' });
    await offer(9);
    const gap = await gateway.api(`/devices/${roof.did}/gaps`, {
      method: 'POST',
      body: { epoch: 1, first: 1, last: 8 },
    });
    expect(gap.status).toBe(201);
    await gateway.parts.log.makeCheckpoint(Date.now());
    await allAnchored(gateway);

    const page = await openConsole(gateway, '#/verify', { role: null });
    const open = { name: 'open.json', bytes: await receiptOf(gateway, 4, 'json') };
    await dropped(page, open.name, open.bytes);
    expect(await verdict(page)).toBe('ok');
    const sealed = { name: 'sealed.cose', bytes: await receiptOf(gateway, 1, 'cose') };
    const opening = async (index: number) => ({
      name: `${index}.opening`,
      bytes: new TextEncoder().encode((await gateway.api(`/entries/${index}/opening`)).text),
    });
    expect(await given(page, sealed)).toBe('ok');
    expect(await states(page)).toContain('device signature: skipped');
    expect(await page.locator('.v-reading').textContent()).toContain('Sealed');
    expect(await given(page, sealed, await opening(1))).toBe('ok');
    expect(await states(page)).toContain('device signature: ok');
    expect(await page.locator('.v-records').textContent()).toContain('1-0:1.8.0');
    expect(await given(page, await opening(1))).toBe('refused');

    // Before, of and after the gap.
    const three = await Promise.all(
      [4, 6, 5].map(async (index) => ({ name: `${index}.json`, bytes: await receiptOf(gateway, index, 'json') })),
    );
    await given(page, ...three);
    await page.getByLabel('These three prove that there is no reading between').check();
    await page.locator('[data-step="no reading between"][data-state=ok]').waitFor();
    expect(await page.locator('[data-step="no reading between"]').textContent()).toContain('the 8 counters 1/1 to 1/8');

    // What is trusted decides.
    await given(page, open);
    const other = verifierKeyOf('other.example/log');
    await set(page, 'key', other);
    await page.locator('.v-step.failed').waitFor();
    expect(await turnsRed(page, 'another key')).toBe('checkpoint signature');
    await set(page, 'key', 'nonsense');
    await page.locator('.workbench-result .empty').waitFor();
    await page.getByRole('button', { name: 'Undo Verifier key' }).click();
    expect(await verdict(page)).toBe('ok');
    await set(page, 'contract', `0x${'11'.repeat(20)}`);
    await page.locator('.v-step.failed').waitFor();
    expect(await turnsRed(page, 'another contract')).toBe('anchored root');
    expect(await page.locator('.v-step.failed').textContent()).toContain('there is no contract');
    await page.getByRole('button', { name: 'Undo Anchors contract' }).click();
    await set(page, 'rpc', 'http://127.0.0.1:9/with-a-secret');
    await page.locator('.v-step.failed', { hasText: 'CHAIN_AWAY: http://127.0.0.1:9 (' }).waitFor();
    await page.getByLabel('Ask the chain for the root').uncheck();
    await page.locator('.v-verdict.partly').waitFor();
    expect(await page.locator('[data-step="anchored root"]').getAttribute('data-state')).toBe('skipped');

    // An export: each line a receipt, and nothing is missing. Read back from its text, as it is written by the tool.
    const receipts = await Promise.all(three.map(({ bytes }) => parseReceipt(Buffer.from(bytes).toString())));
    const lines = [receipts[0], receipts[2], receipts[1]].map((receipt) => encodeEntry(receipt as Receipt));
    const text = (head: BundleHead, ...entries: string[]) => ({
      name: 'export.jsonl',
      bytes: utf8Bytes(
        [encodeHead(head), ...entries, encodeEnd({ entries: entries.length, pruned: 0, forgotten: 0 })].join(''),
      ),
    });
    await page.getByRole('button', { name: 'Undo Node' }).click();
    expect(await given(page, text({ key, from: 4, to: 7 }, ...lines))).toBe('ok');
    expect(await page.locator('[data-step=bundle]').textContent()).toContain('3 entries under');
    expect(await given(page, text({ key, from: 4, to: 7 }, ...lines.slice(1)))).toBe('failed');
    expect(await turnsRed(page, 'an entry is missing')).toBe('bundle');

    // A checkpoint in a file, with a cosignature by a witness.
    const note = await (await fetch(`${gateway.info.http}/log/checkpoint`)).text();
    const secret = new Uint8Array(32).fill(9);
    const body = note.slice(0, note.indexOf('\n\n') + 1);
    const time = Math.floor(Date.now() / 1000);
    const line = cosign(body, time, 'a.example/witness', publicKeyOf(secret), (m) => signEd25519(m, secret));
    await page.locator('summary', { hasText: 'Witnesses' }).click();
    await set(page, 'quorum', '1');
    await set(page, 'witnesses', encodeVerifierKey('a.example/witness', publicKeyOf(secret), 'witness'));
    expect(await given(page, { name: 'checkpoint', bytes: utf8Bytes(note + line) })).toBe('ok');
    expect(await states(page)).toContain('witness cosignatures: ok');
    expect(await given(page, { name: 'checkpoint', bytes: utf8Bytes(note) })).toBe('failed');
    expect(await turnsRed(page, 'not cosigned')).toBe('witness cosignatures');
    await set(page, 'witnesses', '');

    // A certificate of another gateway, by the key of that gateway's log.
    const { bytes } = makeFile();
    await set(page, 'key', LOG_KEY);
    expect(await given(page, { name: 'certificate.json', bytes })).toBe('ok');
    expect(await states(page)).toContain('registers: ok');
    const at = Buffer.from(bytes).indexOf('"wh":412') + 7;
    expect(await given(page, { name: 'certificate.json', bytes: bytes.with(at, 0x39) })).toBe('failed');
    await turnsRed(page, 'a changed amount');
  },
);

it.skipIf(!hasBrowser)('the log as the gateway has it, while it grows', async () => {
  const { city, gateway, meter } = world();
  const page = await openConsole(gateway, '#/log');
  const stat = (label: string) =>
    page.locator('.stat', { has: page.getByText(label, { exact: true }) }).locator('.stat-value');
  const shows = (label: string, value: string) =>
    stat(label)
      .filter({ hasText: new RegExp(`^${value}$`) })
      .waitFor();
  const { size } = gateway.parts.log;
  await shows('Entries', String(size));
  await shows('Anchored', String(size));
  const { anchors } = (await gateway.api('/anchors')).body as {
    anchors: { transaction: string; size: number; root: string }[];
  };
  const transactions = page
    .locator('table', { has: page.locator('caption', { hasText: 'Anchors' }) })
    .locator('code[title^="0x"]');
  expect(await transactions.evaluateAll((all) => all.map((code) => code.getAttribute('title')))).toEqual(
    anchors.map(({ transaction }) => transaction),
  );
  await meter.send(2);
  await allAnchored(gateway);
  await shows('Entries', String(size + 2));
  await shows('Anchored', String(size + 2));
  // What the chain holds is the beginning of it; another note, or other tiles, turn it red.
  await page.getByRole('button', { name: 'Verify this' }).click();
  expect(await verdict(page)).toBe('ok');
  const log = ['checkpoint signature: ok', 'head on the chain: ok', 'it only grew: ok'];
  expect(await states(page)).toEqual(log);
  const again = async (): Promise<string> => {
    await page.getByRole('button', { name: 'Verify again' }).click();
    expect(await verdict(page)).toBe('failed');
    return turnsRed(page, 'the log');
  };
  // The chain as it was one anchor ago, or as somebody else would have it.
  const before = anchors[0] as { size: number; root: string };
  const word = (n: number): string => n.toString(16).padStart(64, '0');
  let root = Buffer.from(before.root, 'base64').toString('hex');
  await page.route(`${city.chain.rpc}/`, async (route) => {
    const { method, params } = route.request().postDataJSON() as { method: string; params: { data: string }[] };
    if (method !== 'eth_call' || params[0]?.data.length !== 74) return route.continue();
    const answer = await route.fetch();
    const result = `0x${word(before.size)}${root}${word(1)}`;
    return route.fulfill({ response: answer, json: { jsonrpc: '2.0', id: 1, result } });
  });
  await page.getByRole('button', { name: 'Verify again' }).click();
  await page
    .locator('.v-step-detail', { hasText: `the ${before.size} entries on the chain are the first of` })
    .waitFor();
  expect(await states(page)).toEqual(log);
  await page.route('**/log/tile/**', async (route) => {
    const answer = await route.fetch();
    const body = await answer.body();
    await route.fulfill({ response: answer, body: Buffer.from(body.map((byte, i) => (i % 32 ? byte : byte ^ 1))) });
  });
  expect(await again(), 'other tiles').toBe('it only grew');
  await page.unroute('**/log/tile/**');
  root = root.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  expect(await again(), 'another root').toBe('it only grew');
  await page.unroute(`${city.chain.rpc}/`);
  await page.route('**/log/checkpoint', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({
      response: answer,
      body: (await answer.text()).replace(`\n${size + 2}\n`, `\n${size + 3}\n`),
    });
  });
  expect(await again(), 'another note').toBe('checkpoint signature');
  await page.unroute('**/log/checkpoint');
  await page.getByLabel('Entry number').fill(String(size + 1));
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  await page.getByRole('heading', { name: `Entry ${size + 1}` }).waitFor();
  await page.getByRole('link', { name: 'Entry after' }).click();
  await page.getByText(`the log has ${size + 2}`).waitFor();
});

it.skipIf(!hasBrowser)('verify.html as the gateway serves it keeps to its policy', async () => {
  const { gateway, key } = world();
  const page = await openConsole(gateway, 'verify.html', { role: null }); // which fails where a policy refuses something
  await page.locator(`#trust-key`).waitFor();
  await expect.poll(() => page.locator('#trust-key').inputValue()).toBe(key);
  expect(await given(page, { name: 'entry.tlog-proof', bytes: await receiptOf(gateway, 3, 'tlog-proof') })).toBe('ok');
});

it.skipIf(!hasBrowser)('reads well: light and dark, Korean and English, phone and wall', async () => {
  const { gateway } = world();
  for (const view of [
    { theme: 'dark', lang: 'ko', ...PHONE },
    { theme: 'light', lang: 'en', ...WALL },
  ] as const)
    for (const hash of ['#/entry/1', '#/verify']) {
      const page = await openConsole(gateway, hash, { view });
      if (hash === '#/entry/1') {
        await page.locator('.verify-this button.primary').click();
        await verdict(page);
      } else if (hash === '#/verify')
        await given(page, { name: 'x.cose', bytes: (await receiptOf(gateway, 3, 'cose')).fill(0, 200, 210) });
      expect(await flaws(page), `${hash} ${JSON.stringify(view)}`).toEqual([]);
      const over = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
      expect(over, `${hash} is no wider than ${view.width}`).toBeLessThanOrEqual(0);
      if (process.env.SHOTS)
        await page.screenshot({
          path: `${process.env.SHOTS}/${hash.slice(2).replace('/', '-')}-${view.width}.png`,
          fullPage: true,
        });
    }
});

it.skipIf(!hasBrowser)(
  'an entry is verified on its page; the verifier goes on with the gateway off, and from a file',
  async () => {
    const { city, gateway, key } = world();
    const page = await openConsole(gateway, '#/log');
    await page.getByRole('link', { name: '4', exact: true }).click();
    await page.getByRole('heading', { name: 'Entry 4' }).waitFor();
    for (const format of FORMATS) {
      await page.getByRole('radio', { name: format, exact: true }).check();
      await page.getByRole('button', { name: /^Verify (this|again)$/ }).click();
      await page.getByRole('heading', { name: `entry-4.${format}` }).waitFor();
      expect(await verdict(page), format).toBe('ok');
      expect(await states(page)).toEqual(GOOD);
    }
    const receipts: { name: string; bytes: Uint8Array }[] = [];
    for (const format of FORMATS) {
      const coming = page.waitForEvent('download');
      await page.locator(`button[data-format="${format}"]`).click();
      const file = await coming;
      const bytes = new Uint8Array(readFileSync(await file.path()));
      expect(bytes).toEqual(await receiptOf(gateway, 4, format));
      receipts.push({ name: file.suggestedFilename(), bytes });
    }
    // One that is sealed is opened for who may read it.
    await page.goto(`${gateway.info.http}/#/entry/1`);
    await page.getByRole('heading', { name: 'Entry 1' }).waitFor();
    await page.getByRole('button', { name: 'Verify this' }).click();
    expect(await verdict(page)).toBe('ok');
    expect(await states(page)).toEqual([...GOOD.slice(0, 2), 'seal: ok', ...GOOD.slice(2)]);

    await page.getByRole('link', { name: 'Verify', exact: true }).click();
    await page.getByRole('heading', { name: 'Verify', exact: true }).waitFor();
    const coming = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save this page as a file' }).click();
    const saved = `${tempFolder()}.html`;
    writeFileSync(saved, readFileSync(await (await coming).path()));
    await gateway.close();

    for (const receipt of receipts) {
      expect(await given(page, receipt), 'with the gateway off').toBe('ok');
      expect(await states(page)).toEqual(GOOD);
    }
    const asked: string[] = [];
    const file = await page.context().newPage();
    const wrong: string[] = [];
    file.on('pageerror', (error) => wrong.push(error.message));
    file.on('console', (line) => line.type() === 'error' && wrong.push(line.text()));
    file.on('request', (request) => asked.push(new URL(request.url()).origin));
    await file.goto(`file://${saved}`);
    expect(await file.locator('#trust-key').inputValue()).toBe(key);
    for (const receipt of receipts) {
      expect(await given(file, receipt), 'from a file').toBe('ok');
      expect(await states(file)).toEqual(GOOD);
      const at = receipt.bytes.length >> 1;
      const changed = receipt.bytes.with(at, (receipt.bytes[at] as number) ^ 1);
      expect(await given(file, { ...receipt, bytes: changed })).toBe('failed');
      await turnsRed(file, receipt.name);
    }
    expect(await flaws(file)).toEqual([]);
    expect(new Set(asked)).toEqual(new Set(['null', city.chain.rpc]));
    expect(wrong).toEqual([]);
    await city.finish(gateway);
  },
);
