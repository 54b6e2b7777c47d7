/**
 * Two of the three who come for the first time, each on the first page that they open, with the real `npm start`: the
 * auditor opens the console, finds a reading and verifies it; the city engineer imports the flow of the engineers' page and
 * sees data. (The third installs the package: test/ops.)
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { hasBrowser } from '../console/browser.ts';
import { shared } from '../console/shared.ts';
import { ROOT, start } from '../support/cli.ts';
import { onTestFinished } from '../support/ends.ts';
import { tempFolder } from '../support/temp.ts';
import { wholeTruth } from '../support/whole-truth.ts';

const PATIENCE_MS = 60_000;
const OPTIONS = ['--mqtt', '0', '--http', '0', '--flows', '0', '--meters', '1', '--plants', '2', '--vehicles', '1'];
const LESS = ['--no-gate', '--no-hostile', '--no-credits'];

describe.skipIf(!hasBrowser)('who comes for the first time, to npm start', { timeout: 3 * PATIENCE_MS }, () => {
  const started = shared(async () => {
    const data = join(tempFolder(), 'data');
    const demo = start('npm', ['start', '--silent', '--', '--data', data, ...OPTIONS, ...LESS]);
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
    onTestFinished(() => browser.close());
    return { data, demo, browser };
  });

  /** A browser that has never been here. */
  async function open(browser: Browser, url: string): Promise<Page> {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1400, height: 900 } });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }

  it('the auditor opens the console by the link, finds a reading, and verifies it', async () => {
    const { demo, browser } = started();
    const [link] = /http\S+#\/sign-in\/\S+/.exec(await demo.line(/^\S+ {2}console /)) as RegExpExecArray;
    const page = await open(browser, link);
    await page.getByRole('heading', { level: 1, name: 'Now' }).waitFor();
    await page.getByRole('link', { name: 'District' }).click();
    await page.getByRole('searchbox').fill('plant');
    await page.getByRole('table').getByRole('link', { name: /plant/ }).first().click();
    // A device, its newest entries; the newest of them, as soon as an anchor covers it.
    await page.locator('a[href^="#/entry/"]').first().click();
    await page.getByRole('button', { name: 'Verify this' }).waitFor();
    const index = Number(/#\/entry\/(\d+)/.exec(page.url())?.[1]);
    const sizes = (): number[] =>
      demo.lines.map((line) => Number(/ anchor {2}([\d,]+) entries/.exec(line)?.[1]?.replace(',', '') ?? 0));
    await expect.poll(() => Math.max(...sizes()), { timeout: PATIENCE_MS }).toBeGreaterThan(index);
    await page.getByRole('button', { name: 'Verify this' }).click();
    await page.getByText('It holds', { exact: true }).first().waitFor();
    const steps = await page.locator('[data-step]').evaluateAll((all) => all.map((step) => ({ ...step.dataset })));
    expect(steps.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['device signature', 'checkpoint signature', 'inclusion', 'anchored root']),
    );
  });

  it('the city engineer imports the flow of the first page, and sees data', async () => {
    const { data, demo, browser } = started();
    const [url] = /http\S+/.exec(await demo.line(/^\S+ {2}flows {3}http\S+ +Node-RED/)) as RegExpExecArray;
    const flow = /```json\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'edge/docs/city-engineer.md'), 'utf8'))?.[1];
    const page = await open(browser, url as string);
    await page.locator('#node-dialog-login-username').fill('engineer');
    await page.locator('#node-dialog-login-password').fill(readFileSync(join(data, 'flows/password'), 'utf8').trim());
    await page.locator('#node-dialog-login-submit').click();
    await page.locator('.red-ui-palette-node[data-palette-type="edge-readings-in"]').waitFor({ state: 'attached' });
    await page.locator('#red-ui-workspace-chart').click({ position: { x: 700, y: 600 } });
    await page.keyboard.press('Control+i');
    await page.locator('#red-ui-clipboard-dialog-import-text').fill(flow as string);
    await page.locator('#red-ui-clipboard-dialog-ok').click();
    await page.getByText('First flow').first().waitFor();
    await page.locator('#red-ui-header-button-deploy').click();
    await page.keyboard.press('Control+g');
    await page.keyboard.press('d');
    const said = page.locator('.red-ui-debug-msg', { hasText: 'a plant says' }).first();
    await said.waitFor();
    expect(await said.textContent()).toMatch(/plant\/did:key:z/);
  });

  it('and what they leave behind is whole', async () => {
    const { data, demo } = started();
    process.kill((JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as { pid: number }).pid, 'SIGINT');
    expect(await demo.stop('SIGCONT')).toBe(0);
    expect(wholeTruth(data).entries).toBeGreaterThan(20);
  });
});
