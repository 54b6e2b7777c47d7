/** Credits, checks, quarantine, people: the work that is done in the console, in a real browser at a real gateway. */
import { createHmac, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { base32 } from '@scure/base';
import type { Locator, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { Link } from '../checks/gateway.ts';
import { TestVehicle } from '../checks/rig.ts';
import { TestDevice } from '../support/gateway.ts';
import { flaws, hasBrowser, openConsole, PHONE, useBrowser, type View } from './browser.ts';
import { shared } from './shared.ts';
import { startWork } from './work-rig.ts';

useBrowser();
const work = shared(async () => (hasBrowser ? await startWork() : undefined) as Awaited<ReturnType<typeof startWork>>);
type Audit = { action: string; on: string; detail: Record<string, unknown> }[];
const audit = async (): Promise<Audit> => ((await work().gateway.api('/audit')).body as { audit: Audit }).audit;

const button = (within: Page | Locator, name: string | RegExp): Locator => within.getByRole('button', { name });
const cells = (page: Page, point: string): Locator =>
  page.getByRole('list', { name: `Hours of ${point}` }).getByRole('button');
/** As it is seen: what is hidden is not in it. */
async function textOf(of: Locator): Promise<string> {
  await of.first().waitFor();
  return (await of.allInnerTexts()).join('\n');
}
const said = (cell: Locator): Promise<string | null> => cell.getAttribute('aria-label');

describe.skipIf(!hasBrowser)('credits', () => {
  it('show each hour of a day with its state, and why it is what it is', async () => {
    const { gateway, day, plant, other } = work();
    const page = await openConsole(gateway, `#/credits?day=${day}`);
    const hours = cells(page, plant.sub);
    await hours.first().waitFor();
    expect(await hours.count()).toBe(24);
    expect(await said(hours.nth(13))).toBe('13:00, minted, 2,500 Wh');
    expect(await said(hours.nth(3))).toBe('03:00, not read, 0 Wh');
    expect(await said(cells(page, other.sub).nth(13))).toBe('13:00, refused, 1,600 Wh');
    expect(await said(cells(page, other.sub).nth(14))).toBe('14:00, no energy, 0 Wh');
    expect(await said(cells(page, 'urn:sejong:mp:gap').nth(14))).toBe('14:00, in a residual, 0 Wh');
    // From the keyboard: one stop for each metering point, and arrows within.
    await hours.first().focus();
    for (let i = 0; i < 13; i++) await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    const shown = page.locator('.hour');
    await shown.getByText('57600 - 55100 = 2500 Wh').waitFor();
    expect(await textOf(shown)).toMatch(
      /Why 2,500 Wh\?[\s\S]*57,600 Wh[\s\S]*55,100 Wh[\s\S]*under the root of \d+ entries/,
    );
    expect(await button(page, 'Claim…').count(), 'a viewer may not claim').toBe(0);
    await cells(page, other.sub).nth(13).click();
    await page.getByText('More energy than the rated power gives in that time, and 5 %').waitFor();
    await cells(page, 'urn:sejong:mp:gap').nth(14).click();
    await page.getByText('Its energy is known together with that of other hours only').waitFor();
    await page.getByRole('row', { name: /urn:sejong:mp:gap .* 2,400 Wh no reading between/ }).waitFor();
    await button(page, 'The day before').click();
    await page.getByText('No energy lies between hours on this day').waitFor();
    expect(await said(hours.nth(13))).toBe('13:00, not read, 0 Wh');
  });

  it('of the newest day that has some are shown first', async () => {
    const { gateway, day, plant } = work();
    const page = await openConsole(gateway, '#/credits');
    await cells(page, plant.sub).nth(13).and(page.locator('.minted')).waitFor();
    expect(await page.getByLabel('Day (Korean time)').inputValue()).toBe(day);
  });

  it('are claimed in a dialog that says that they burn for good, and the page tells when a block has it', async () => {
    const { gateway, certificate } = work();
    const page = await openConsole(gateway, `#/certificate/${certificate}`, { role: 'operator' });
    await page.getByRole('heading', { name: 'Certificate of 2,500 Wh' }).waitFor();
    await button(page, 'Claim…').click();
    const dialog = page.getByRole('dialog', { name: 'Claim credits' });
    await dialog.getByLabel('How much (Wh)').fill('150');
    const burn = button(dialog, 'Burn 150 Wh for good');
    expect(await burn.isDisabled(), 'not before one has said so').toBe(true);
    await dialog.getByLabel('What for').selectOption('donation');
    await dialog.getByLabel(/^Who it is for/).fill('Kim');
    await dialog.getByLabel(/this burns the credits for good/).check();
    expect(await burn.isDisabled(), 'a donation needs its recipient').toBe(true);
    await dialog.getByLabel(/^Recipient or number/).fill('city library');
    await burn.click();
    const done = page.getByRole('dialog', { name: 'It is claimed' });
    const salt = (await done.locator('.once code').getAttribute('title')) as string;
    expect(salt).toMatch(/^[0-9a-f]{64}$/);
    await button(done, 'I kept it').click();
    await page.getByRole('row', { name: /150 Wh donation city library/ }).waitFor();
    await page.getByText('150 Wh burned for good').waitFor();
    const [deed] = await audit();
    const beneficiary = `0x${hash('sha256', Buffer.concat([Buffer.from(salt, 'hex'), Buffer.from('Kim')]))}`;
    expect(deed).toMatchObject({ action: 'credit.claim', on: certificate, detail: { wh: 150, beneficiary } });
    // More than is left is refused here, and by the gateway too.
    await button(page, 'Claim…').click();
    await dialog.getByLabel('How much (Wh)').fill('2351');
    await dialog.getByLabel(/this burns the credits for good/).check();
    expect(await button(dialog, 'Burn 2,351 Wh for good').isDisabled()).toBe(true);
  });

  it('give the file that proves a certificate, and its document', async () => {
    const { gateway, certificate } = work();
    const page = await openConsole(gateway, `#/certificate/${certificate}`);
    const download = page.waitForEvent('download');
    await button(page, 'Download the file').click();
    const file = await download;
    expect(file.suggestedFilename()).toBe(`${certificate}.json`);
    const content = JSON.parse(readFileSync(await file.path(), 'utf8')) as { entries: unknown[]; anchor: object };
    expect(content.entries).toHaveLength(2);
    expect(content.anchor).toBeTruthy();
    expect(await textOf(page.locator('pre.document'))).toContain(`"id": "${certificate}"`);
    await button(page, 'Verify this').click();
    await page.locator('.v-verdict.ok').waitFor();
    for (const step of ['registers', 'device signatures', 'anchored root', 'mint transaction'])
      await page.locator(`[data-step="${step}"][data-state=ok]`).waitFor();
    const steps = await page.locator('ol.way li').allInnerTexts();
    expect(steps.map((s) => s.replaceAll('\n', ' ').trim().slice(0, 18))).toEqual([
      expect.stringMatching(/Made/),
      expect.stringMatching(/Anchored/),
      expect.stringMatching(/Sent/),
      expect.stringMatching(/Minted/),
      expect.stringMatching(/Claimed/),
    ]);
    for (const name of ['Claim…', 'Withdraw the day…']) expect(await button(page, name).count()).toBe(0);
  });

  it('are withdrawn with a reason, and certified anew', async () => {
    const { gateway, day, other } = work();
    const page = await openConsole(gateway, `#/credits?day=${day}`, { role: 'operator' });
    await cells(page, other.sub).nth(12).click();
    await page.getByRole('link', { name: 'Open the certificate' }).click();
    await button(page, 'Withdraw the day…').click();
    const dialog = page.getByRole('dialog', { name: 'Withdraw a day' });
    const withdraw = button(dialog, 'Withdraw');
    await dialog.getByLabel(/^I know that holders/).check();
    expect(await withdraw.isDisabled()).toBe(true);
    await dialog.getByLabel(/^Why/).fill('the meter was wired wrongly');
    await withdraw.click();
    await page.getByText('what was not claimed is worth nothing').waitFor();
    expect((await audit())[0]).toMatchObject({
      action: 'credit.withdraw',
      detail: { reason: 'the meter was wired wrongly' },
    });
    expect(await button(page, 'Download the file').count()).toBe(0);
    await page.getByRole('link', { name: 'version 1' }).click();
    await button(page, 'Certify the day anew…').click();
    await button(page.getByRole('dialog', { name: 'Certify a withdrawn day anew' }), 'Certify anew').click();
    await page.getByText('A block of the chain has it.').waitFor();
    await page.getByRole('link', { name: 'version 0' }).waitFor();
    expect((await audit())[0]).toMatchObject({ action: 'credit.reissue' });
  });

  it('say so where there are none', async () => {
    const { gateway } = work();
    const page = await openConsole(gateway, '#/certificate/880000000000000000-20261124T04Z-v0');
    expect(await textOf(page.getByRole('alert'))).toMatch(/There is nothing at this address[\s\S]*NOT_FOUND/);
  });
});

describe.skipIf(!hasBrowser)('checks', () => {
  it('appear as they happen, each with its reason in plain words', async () => {
    const { gateway, link } = work();
    const page = await openConsole(gateway, '#/checks');
    const newest = page.locator('.gate-now');
    await newest.getByText('Have a look').waitFor();
    await page.getByRole('row', { name: /No Its credential has run out\. north/ }).waitFor();
    await page.getByText('Live').waitFor();
    await link.pass();
    await newest.getByText('Its credential, its key and its place are all in order.').waitFor();
    const rows = page.getByRole('row');
    expect(await textOf(rows.nth(1))).toMatch(/Pass[\s\S]*north[\s\S]*good_/);
    await page.getByRole('radio', { name: 'Have a look' }).check({ force: true });
    expect(await rows.count()).toBe(2);
    await rows.nth(1).getByRole('button').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('reach of the gate').waitFor();
    expect(await textOf(dialog)).toMatch(/By its own position[\s\S]*distance\n[\d,]+ m\nreach of the gate\n200 m/);
    await dialog.getByText('The signed decision').click();
    expect(await textOf(dialog.locator('pre'))).toContain('"SejongDecision"');
    await page.keyboard.press('Escape');
    expect(await button(page, 'Ask for a check…').count(), 'a viewer may not ask').toBe(0);
  });

  it('are asked for by an engineer, who is told who came, or that nobody did', async () => {
    const { gateway, city } = work();
    const page = await openConsole(gateway, '#/checks', { role: 'engineer' });
    await button(page, 'Ask for a check…').click();
    const dialog = page.getByRole('dialog', { name: 'Who is at this gate?' });
    await dialog.getByLabel('Gate').selectOption('south');
    await dialog.getByLabel('Wait for (seconds)').fill('1');
    await button(dialog, 'Ask').click();
    await dialog.getByText('No vehicle answered in time').waitFor();
    await dialog.getByLabel('Gate').selectOption('inner');
    await dialog.getByLabel('Wait for (seconds)').fill('30');
    await button(dialog, 'Ask').click();
    await dialog.getByText(/Waiting for a vehicle at the gate/).waitFor();
    const vehicle = new TestVehicle(city, 'asked', Date.now(), { registration: 'asked' });
    await (await Link.open(gateway, vehicle)).pass('inner');
    await dialog.getByLabel('The answer').getByText('Pass', { exact: true }).waitFor();
    expect(await textOf(dialog.getByLabel('The answer'))).toContain('asked_');
  });
});

describe.skipIf(!hasBrowser)('quarantine', () => {
  it('shows what was refused, why, and its bytes as far as they can be read', async () => {
    const { gateway, device } = work();
    const page = await openConsole(gateway, '#/quarantine');
    await page
      .getByRole('row', { name: /SIGNATURE_INVALID The signature does not verify/ })
      .getByRole('button')
      .click();
    const dialog = page.getByRole('dialog');
    const text = await textOf(dialog);
    expect(text).toMatch(/What to do: Sign the Sig_structure/);
    expect(text).toContain(device.sub);
    expect(text).toMatch(/Boot epoch and sequence\s+1 \/ 1/);
    expect(text).toMatch(/1-0:1\.8\.0\s+1002\s+Wh/);
    await dialog.getByText('Bytes', { exact: true }).click();
    await dialog.getByText(/^000000 {2}d2 84 58/).waitFor();
    for (const name of ['Release…', 'Drop…']) expect(await button(dialog, name).count()).toBe(0);
    await page.keyboard.press('Escape');
    await page
      .getByRole('row', { name: /CBOR_INVALID|ENVELOPE_INVALID/ })
      .last()
      .getByRole('button')
      .click();
    await dialog.getByText('Nothing more can be told: the bytes end early, at 150.').waitFor();
  });

  it('is released with a reason where what was wrong is mended, and dropped with a reason for good', async () => {
    const { gateway, device } = work();
    const page = await openConsole(gateway, '#/quarantine', { role: 'operator' });
    await page
      .getByRole('row', { name: /DEVICE_INACTIVE/ })
      .getByRole('button')
      .click();
    await button(page, 'Release…').click();
    const release = page.getByRole('dialog', { name: 'Offer it again' });
    expect(await button(release, 'Release it').isDisabled(), 'not without a reason').toBe(true);
    await release.getByLabel(/^Why/).fill('it was suspended\nby mistake');
    await button(release, 'Release it').click();
    await page.getByText(/It is in the log now, as entry/).waitFor();
    expect(await page.getByRole('row', { name: /DEVICE_INACTIVE/ }).count()).toBe(0);
    expect((await audit())[0]).toMatchObject({
      ...{ action: 'quarantine.release', on: device.did },
      detail: { code: 'DEVICE_INACTIVE', reason: 'it was suspended by mistake' },
    });
    // What is still wrong stays, and says why.
    await page
      .getByRole('row', { name: /SIGNATURE_INVALID/ })
      .getByRole('button')
      .click();
    await button(page, 'Release…').click();
    await release.getByLabel(/^Why/).fill('try');
    await button(release, 'Release it').click();
    expect(await textOf(release.getByRole('alert'))).toContain('The signature does not verify');
    await button(release, 'Cancel').click();
    await button(page, 'Drop…').click();
    const drop = page.getByRole('dialog', { name: 'Drop it for good' });
    await drop.getByLabel(/^Why/).fill('not of this device');
    expect(await button(drop, 'Drop it for good').isDisabled(), 'not before one has said so').toBe(true);
    await drop.getByLabel(/cannot be had back/).check();
    await button(drop, 'Drop it for good').click();
    await page.getByText('It is dropped; the audit says why.').waitFor();
    expect((await audit())[0]).toMatchObject({
      action: 'quarantine.drop',
      detail: { code: 'SIGNATURE_INVALID', reason: 'not of this device' },
    });
  });
});

/** What a device answers, by another HMAC and another base32 than the gateway's. */
function nonceOf(code: string, did: string, origin: string): string {
  const [id, secret] = code.split('-') as [string, string];
  const raw = base32.decode(secret.padEnd(32, '='));
  return createHmac('sha256', hash('sha256', raw, 'buffer'))
    .update(`claim\0${id}\0${did}\0${origin}`)
    .digest('base64url');
}

describe.skipIf(!hasBrowser)('people', () => {
  it('get tokens that are shown once, and lose them', async () => {
    const { gateway } = work();
    const page = await openConsole(gateway, '#/people', { role: 'operator' });
    await button(page, 'Make a token…').click();
    const dialog = page.getByRole('dialog', { name: 'Make a token' });
    await dialog.getByLabel(/^Whose it is/).fill('Lee, grid operator');
    await dialog.getByLabel(/^Role/).selectOption('engineer');
    await button(dialog, 'Make it').click();
    const once = page.getByRole('dialog', { name: 'The token is made' });
    const token = await textOf(once.locator('code.secret'));
    expect((await gateway.api('/session', { token })).body).toMatchObject({
      name: 'Lee, grid operator',
      role: 'engineer',
    });
    await button(once, 'Close').last().click();
    const row = page.getByRole('row', { name: /Lee, grid operator engineer in use/ });
    await row.waitFor();
    expect(await page.content(), 'it is nowhere any more').not.toContain(token);
    await button(row, /^Revoke/).click();
    await button(page.getByRole('dialog'), 'Revoke').click();
    await page.getByRole('row', { name: /Lee, grid operator engineer revoked/ }).waitFor();
    expect((await gateway.api('/session', { token })).status).toBe(401);
  });

  it('sign in by a link that opens once', async () => {
    const { gateway } = work();
    const page = await openConsole(gateway, '#/people', { role: 'operator' });
    await button(page, 'Let somebody sign in…').click();
    const dialog = page.getByRole('dialog', { name: 'Let somebody sign in' });
    await dialog.getByLabel(/^Whose it is/).fill('Park');
    await button(dialog, 'Make the link').click();
    await dialog.getByRole('img', { name: 'QR code' }).waitFor();
    const link = await textOf(dialog.locator('code.secret'));
    expect(link.startsWith(`${gateway.info.http}/#/sign-in/`)).toBe(true);
    const theirs = await openConsole(gateway, link.slice(gateway.info.http.length + 1), { role: null });
    await theirs.getByText('Park').waitFor();
    expect(await theirs.getByRole('link', { name: 'People' }).count(), 'a viewer').toBe(0);
  });

  it('expect a device, compare its fingerprint, and enrol it', async () => {
    const { gateway } = work();
    const page = await openConsole(gateway, '#/people?show=claims', { role: 'operator' });
    await button(page, 'Expect a device…').click();
    const dialog = page.getByRole('dialog', { name: 'Expect a device that enrols itself' });
    const device = new TestDevice('newcomer');
    await dialog.getByLabel(/^Kind/).selectOption('meter');
    await dialog.getByLabel(/^What it measures/).fill(device.sub);
    await button(dialog, 'Make it').click();
    const once = page.getByRole('dialog', { name: 'Give this code to the device' });
    await once.getByRole('img', { name: 'QR code' }).waitFor();
    const code = await textOf(once.locator('code.secret'));
    await button(once, 'Close').last().click();
    await page.getByRole('row', { name: /newcomer waits for the device/ }).waitFor();
    const { origin } = gateway.info;
    const proof = device.jwt(origin, { jti: code.slice(0, 8), nonce: nonceOf(code, device.did, origin) });
    const came = await gateway.api(`/claims/${code.slice(0, 8)}`, {
      ...{ method: 'POST', body: { did: device.did, proof }, token: null },
    });
    const { fingerprint } = came.body as { fingerprint: string };
    const row = page.getByRole('row', { name: /newcomer has come: compare/ });
    await row.waitFor();
    await button(row, /^Confirm/).click();
    const confirm = page.getByRole('dialog', { name: 'Is it this device?' });
    expect(await page.content(), 'who only copies compares nothing').not.toContain(fingerprint);
    const field = confirm.getByLabel(/^Fingerprint/);
    await field.fill(fingerprint.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')));
    await button(confirm, 'Enrol it').click();
    expect(await textOf(confirm.getByRole('alert'))).toContain('The fingerprint is not that of the device');
    await field.fill(fingerprint.toLowerCase());
    await button(confirm, 'Enrol it').click();
    await page.getByText('It is enrolled, and may speak.').waitFor();
    expect(gateway.parts.devices.get(device.did)?.status).toBe('active');
    await page.getByRole('radio', { name: 'Audit' }).check({ force: true });
    await page.getByRole('row', { name: /test operator .*confirmed a device/ }).waitFor();
  });

  it('are for operators alone', async () => {
    const { gateway } = work();
    const page = await openConsole(gateway, '#/people', { role: 'engineer' });
    await page.getByText('Only people with the role operator can open this page').waitFor();
  });
});

describe.skipIf(!hasBrowser)('what is opened on them', () => {
  const views: [string, Partial<View>][] = [
    ['light, English, desk', {}],
    ['dark, Korean, phone', { ...PHONE, theme: 'dark', lang: 'ko' }],
  ];
  it.each(views)('keep the rules of accessibility: %s', { timeout: 60_000 }, async (_, view) => {
    const { gateway, day, certificate } = work();
    const page = await openConsole(gateway, `#/credits?day=${day}`, { role: 'operator', view });
    const found: string[] = [];
    const look = async (what: string): Promise<void> => {
      for (const flaw of await flaws(page)) found.push(`${what}: ${flaw}`);
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      if (wide > 0) found.push(`${what}: ${wide} px too wide`);
    };
    const to = async (hash: string): Promise<void> => {
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    };
    await page.locator('button.cell.minted').first().click();
    await page.locator('.hour .registers').waitFor();
    await look('an hour');
    await to(`#/certificate/${certificate}`);
    await page.locator('ol.way').waitFor();
    await page.locator('.page-head button').first().click();
    await page.locator('dialog[open] form').waitFor();
    await look('claim');
    await page.keyboard.press('Escape');
    await to('#/checks');
    await page.locator('.gate-now').waitFor();
    await page.locator('tbody button').first().click();
    await page.locator('dialog[open] .facts').first().waitFor();
    await look('a check');
    await page.keyboard.press('Escape');
    await page.locator('.page-head button').first().click();
    await page.locator('dialog[open] form').waitFor();
    await look('ask');
    await page.keyboard.press('Escape');
    await to('#/quarantine');
    await page.locator('tbody button').last().click();
    await page.locator('dialog[open] .tree').waitFor();
    await look('quarantine');
    await page.locator('dialog[open] .button.danger').click();
    await look('drop');
    await page.keyboard.press('Escape');
    for (const show of ['tokens', 'claims']) {
      await to(`#/people?show=${show}`);
      await page.locator('.panel-head').waitFor();
      const make = page.locator('.panel-head .button.primary');
      await make.click();
      await page.locator('dialog[open] form').waitFor();
      await look(`${show}, make`);
      await page.keyboard.press('Escape');
    }
    expect(found).toEqual([]);
  });
});
