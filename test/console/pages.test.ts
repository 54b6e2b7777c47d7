/** The console in a real browser: its frame, and the pages Now, District and Device, do what they are for. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { LOCAL } from '../../edge/people.ts';
import { startTestGateway, TestDevice, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/temp.ts';
import { flaws, hasBrowser, openConsole, PHONE, useBrowser } from './browser.ts';
import { shared } from './shared.ts';

const meter = new TestDevice('console-meter');
const sensor = new TestDevice('console-sensor', 'sensor');
const READINGS = 30;

const offer = (gateway: TestGateway, device: TestDevice, envelope: Uint8Array) =>
  gateway.parts.accept.offer(envelope, { did: device.did, topic: `up/${device.did}/cose` });

useBrowser();
const gateway = shared(async () => {
  const gateway = await startTestGateway();
  await meter.enrol(gateway);
  await sensor.enrol(gateway);
  for (let i = 0; i < READINGS; i++) await offer(gateway, meter, meter.envelope({ iat: 1_790_000_000 + i * 60 }));
  meter.seq += 2; // these are missing, and may still come
  await offer(gateway, meter, meter.envelope({ iat: 1_790_002_000 }));
  await offer(gateway, sensor, sensor.envelope());
  await offer(gateway, meter, meter.envelope({ sub: 'urn:sejong:mp:another' })); // to quarantine
  await until(() => gateway.parts.log.latest?.size === gateway.parts.log.size, 'a checkpoint covers all');
  return gateway;
});

const h1 = (page: Page) => page.locator('h1').textContent();
describe.skipIf(!hasBrowser)('the frame', () => {
  it('lets in with a code, once, and keeps it out of the address', async () => {
    const { code } = gateway().sessions.makeCode({ name: 'console', role: 'engineer', seconds: 600, by: LOCAL });
    const page = await openConsole(gateway(), `#/sign-in/${code}`, { role: null });
    await page.locator('main.sign-in').waitFor({ state: 'detached' });
    expect(await h1(page)).toBe('Now');
    expect(page.url()).not.toContain(code);
    expect(await page.locator('.nav').getByRole('link', { name: 'People' }).count(), 'an engineer').toBe(0);
    const second = await openConsole(gateway(), `#/sign-in/${code}`, { role: null });
    await second.getByRole('alert').waitFor();
    expect(await second.getByRole('alert').textContent()).toContain('SIGN_IN_INVALID');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.locator('main.sign-in').waitFor();
    expect(await page.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
  });

  it('lets in with a token, and says what is no token', async () => {
    const page = await openConsole(gateway(), '#/district', { role: null });
    const box = page.getByLabel('Code or token');
    await box.fill('not.a.token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await box.fill(await gateway().token('viewer'));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator('main:not(.sign-in)').waitFor();
    expect(await h1(page), 'where it was to go').toBe('District');
  });

  it('goes over to the other language and theme, and stays so', async () => {
    const page = await openConsole(gateway(), '#/district');
    await page.getByRole('radio', { name: '한국어' }).check();
    expect(await h1(page)).toBe('지구');
    expect(await page.locator('html').getAttribute('lang')).toBe('ko');
    await page.getByRole('radio', { name: '어둡게' }).check();
    const dark = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    await page.reload();
    await page.locator('main h1').waitFor();
    expect(await h1(page)).toBe('지구');
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe(dark);
  });

  it('has on a phone the pages of its bar, and all others behind its last button', async () => {
    const page = await openConsole(gateway(), '#/now', { role: 'operator', view: PHONE });
    await page.getByRole('button', { name: 'More' }).click();
    const more = page.getByRole('dialog');
    expect(await flaws(page)).toEqual([]);
    const links = more.getByRole('link');
    expect(await links.count()).toBe(8);
    const { width } = (await more.boundingBox()) as { width: number };
    for (const link of await links.all())
      expect((await link.boundingBox())?.width, 'side by side, two in a row').toBeGreaterThan(width / 3);
    await more.getByRole('link', { name: 'People' }).click();
    await page.getByRole('heading', { level: 1, name: 'People' }).waitFor();
    await more.waitFor({ state: 'hidden' });
  });

  it('is used by keys alone', async () => {
    const page = await openConsole(gateway(), '#/now');
    await page.keyboard.press('Tab'); // from the heading, which has the focus, backwards lies the rest
    await page.evaluate('document.activeElement.blur(); window.getSelection().removeAllRanges()');
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('content');
    await page.locator('.nav').getByRole('link', { name: 'District' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('tbody a').first().waitFor();
    expect(await page.evaluate('document.activeElement.tagName'), 'its heading is heard').toBe('H1');
    await page.locator('tbody a').first().focus();
    const first = await page.evaluate('document.activeElement.textContent');
    await page.keyboard.press('ArrowDown');
    expect(await page.evaluate('document.activeElement.textContent')).not.toBe(first);
    await page.keyboard.press('Enter');
    await page.locator('.chart, .empty').first().waitFor();
    expect(page.url()).toContain('#/device/');
  });
});

describe.skipIf(!hasBrowser)('Now', () => {
  it('shows what the gateway says, and what comes in', async () => {
    const page = await openConsole(gateway(), '#/now');
    const rate = page.locator('.stat', { hasText: 'Readings a second' });
    const size = gateway().parts.log.size;
    await page.getByText(`${size} entries in the log`).waitFor();
    expect(await rate.locator('svg').count()).toBe(1);
    expect(await page.locator('.stat', { hasText: /^Anchored/ }).textContent(), 'what is not known').toContain('–');
    await offer(gateway(), sensor, sensor.envelope({ records: [{ n: 'temperature', u: 'Cel', v: 31.25 }] }));
    await page.getByText('31.3 °C').first().waitFor();
    await page.getByText(`${size + 1} entries in the log`).waitFor();
    await page.context().setOffline(true);
    await page.locator('main > .away').waitFor();
    await page.context().setOffline(false);
    await page.locator('main > .away').waitFor({ state: 'detached' });
    const parts = page.locator('section', { hasText: 'Parts' });
    for (const name of Object.keys(gateway().health().parts)) await parts.getByText(name, { exact: true }).waitFor();
  });
});

describe.skipIf(!hasBrowser)('alarms', () => {
  it('stand on the page Now as they come, until a person says that they are over', async () => {
    const page = await openConsole(gateway(), '#/now', { role: 'operator' });
    await page.locator('.stat', { hasText: /^Alarms/ }).waitFor();
    const again = { epoch: 1, seq: 0 }; // the counter of its first reading
    await offer(gateway(), meter, meter.envelope({ ...again, iat: 1 }));
    const alarm = page.locator('section', { hasText: 'Open alarms' }).locator('tr', { hasText: 'EQUIVOCATION' });
    await alarm.waitFor();
    expect(await alarm.textContent()).toContain('cloned key');
    await page
      .locator('.nav')
      .getByText(/^\d+ open alarms?$/)
      .waitFor({ state: 'attached' });
    expect(await page.locator('.now-verdict').textContent()).toContain('Something needs a person');
    await alarm.getByRole('button', { name: /^Clear/ }).click();
    await alarm.waitFor({ state: 'detached' });
    await page.getByText('Show those that are over').click();
    await page.locator('section', { hasText: 'Alarms that are over' }).getByText('EQUIVOCATION').waitFor();
  });
});

describe.skipIf(!hasBrowser)('District', () => {
  it('finds, filters and sorts, and keeps that in the address', async () => {
    const page = await openConsole(gateway(), '#/district');
    const names = page.locator('tbody tr:not(.space) td:first-child a');
    await names.first().waitFor();
    expect(await names.allInnerTexts()).toEqual(
      ['gateway:sejong.example/edge-1', 'mp:console-meter', 'mp:console-sensor'].sort(),
    );
    await page.getByRole('button', { name: 'Entries' }).click();
    await page.getByRole('button', { name: 'Entries' }).click();
    expect(await names.first().textContent()).toBe('mp:console-meter');
    expect(await page.getByRole('columnheader', { name: 'Entries' }).getAttribute('aria-sort')).toBe('descending');
    await page.getByRole('searchbox').fill('SENSOR');
    await expect.poll(() => names.allInnerTexts()).toEqual(['mp:console-sensor']);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('radio', { name: 'Gaps 1' }).check();
    await expect.poll(() => names.allInnerTexts()).toEqual(['mp:console-meter']);
    const row = page.locator('tbody tr');
    expect(await row.textContent()).toMatch(/Active/);
    expect((await row.locator('td').allInnerTexts()).at(-2), 'readings that are missing').toBe('2');
    await page.reload();
    await names.first().waitFor();
    expect(await names.allInnerTexts()).toEqual(['mp:console-meter']);
    await page.getByRole('searchbox').fill('nothing like it');
    await page.getByText('No device is like that').waitFor();
  });
});

describe.skipIf(!hasBrowser)('Device', () => {
  it('shows its values, entries and gaps', async () => {
    const page = await openConsole(gateway(), `#/device/${meter.did}`);
    await page.locator('.chart canvas').waitFor();
    expect(await page.locator('.chart').getAttribute('aria-label')).toMatch(/Energy taken .*\(31\)$/);
    await page.locator('.chart').focus();
    await page.keyboard.press('ArrowRight');
    await page.getByText(/: Energy taken 1,00\d Wh/).waitFor({ state: 'attached' });
    const gaps = page.locator('section', { hasText: 'Gaps' });
    expect(await gaps.locator('tbody tr').textContent()).toMatch(/30 – 31/);
    const download = page.waitForEvent('download');
    await page
      .getByRole('button', { name: /^Download the receipt/ })
      .first()
      .click();
    const file = await (await download).path();
    const receipt = JSON.parse(readFileSync(file, 'utf8'));
    expect((await gateway().api(`/entries/${receipt.index}`)).body).toMatchObject({ did: meter.did });
  });

  it('is suspended and resumed by an operator, who is asked first', async () => {
    const viewer = await openConsole(gateway(), `#/device/${sensor.did}`);
    await viewer.getByText('Values over time').waitFor();
    expect(await viewer.getByRole('button', { name: 'Suspend…' }).count()).toBe(0);
    const page = await openConsole(gateway(), `#/device/${sensor.did}`, { role: 'operator' });
    await page.getByRole('button', { name: 'Suspend…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    expect(gateway().parts.devices.get(sensor.did)?.status).toBe('active');
    await page.getByRole('button', { name: 'Suspend…' }).click();
    expect(await flaws(page)).toEqual([]);
    await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
    await page.locator('.lead .badge', { hasText: 'Suspended' }).waitFor();
    expect(gateway().parts.devices.get(sensor.did)?.status).toBe('suspended');
    await page.getByRole('button', { name: 'Resume…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await page.locator('.lead .badge', { hasText: 'Active' }).waitFor();
    expect(gateway().parts.devices.get(sensor.did)?.status).toBe('active');
  });
});
