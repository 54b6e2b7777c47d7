/** A city's engineer on the first day: logs in to the editor, imports an example, deploys it, and sees data. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { ROOT } from '../support/cli.ts';
import { onTestFinished } from '../support/ends.ts';
import { startTestGateway, TestDevice } from '../support/gateway.ts';
import { startFlows } from './rig.ts';

const CHROMIUM = '/usr/bin/chromium';
const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) console.warn(`${CHROMIUM} is not there: no engineer logs in (apt-get install chromium)`);
const PICTURES = process.env.SCREENSHOTS ? join(ROOT, 'edge', 'docs') : undefined;

async function open(url: string): Promise<{ page: Page; elsewhere: string[] }> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  onTestFinished(() => browser.close());
  const page = await browser.newPage({ locale: 'en-US', viewport: { width: 1440, height: 900 } });
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    if (/^(http|ws)/.test(request.url()) && new URL(request.url()).host !== new URL(url).host)
      elsewhere.push(request.url());
  });
  await page.goto(url);
  return { page, elsewhere };
}

it.skipIf(!hasBrowser)(
  'an engineer imports a flow, and sees what a kiosk has signed',
  { timeout: 120_000 },
  async () => {
    const gateway = await startTestGateway();
    const kiosk = await new TestDevice('hall', 'donation-kiosk').enrol(gateway);
    const client = await kiosk.connect(gateway);
    const send = (count: number) =>
      kiosk.publish(
        client,
        kiosk.envelope({
          iat: 1_790_000_000 + count,
          records: [
            { n: 'donations.count', u: 'count', v: count },
            { n: 'donations.total', u: 'KRW', v: 5000 * count },
          ],
        }),
      );
    await send(12);
    const flows = await startFlows(gateway, { nice: 0 });
    await flows.deploy([]); // nothing there yet, as in a Node-RED of one's own
    const { page, elsewhere } = await open(flows.url());

    // The password lies where the command said.
    await page.locator('#node-dialog-login-username').fill('engineer');
    await page
      .locator('#node-dialog-login-password')
      .fill(readFileSync(join(gateway.config.dataFolder, 'flows', 'password'), 'utf8').trim());
    await page.locator('#node-dialog-login-submit').click();
    await page.locator('.red-ui-palette-node[data-palette-type="edge-readings-in"]').waitFor();

    // Import > Examples.
    await page.locator('#red-ui-workspace-chart').click();
    await page.keyboard.press('Control+i');
    await page.locator('#red-ui-clipboard-dialog-import-tabs').getByText('Examples').click();
    const item = (text: string) =>
      page
        .locator('#red-ui-clipboard-dialog-import-tab-examples .red-ui-treeList-label')
        .getByText(text, { exact: true });
    await item('node-red-contrib-sejong-edge').dblclick();
    await item('6-donation-kiosk-counts').click();
    await page.locator('#red-ui-clipboard-dialog-import-opt-new').click();
    await page.locator('#red-ui-clipboard-dialog-ok').click();
    await page.locator('#red-ui-workspace-tabs').getByText('6 Donations').click();
    await page.locator('.red-ui-flow-node-label').getByText('kiosks').first().waitFor({ timeout: 10_000 });

    // Deploy; the debug sidebar shows what comes.
    const before = flows.host.starts;
    await page.locator('#red-ui-header-button-deploy').click();
    await flows.host.until(() => flows.host.starts > before);
    await send(13);
    const debug = page.locator('.red-ui-debug-msg').filter({ hasText: 'donations' }).last();
    await debug.waitFor();
    await expect
      .poll(() => debug.textContent(), { timeout: 20_000 })
      .toMatch(/kiosks: 1[\s\S]*count: 13[\s\S]*won: 65000/);
    await expect
      .poll(async () => (await fetch(new URL('/public/donations', flows.url()))).text(), { timeout: 10_000 })
      .toMatch(/<strong>13<\/strong>건/);
    // It works with no internet: nothing was asked of anybody else.
    expect(elsewhere).toEqual([]);
    if (PICTURES) {
      mkdirSync(PICTURES, { recursive: true });
      await expect.poll(() => page.locator('.red-ui-notification').count(), { timeout: 20_000 }).toBe(0);
      await page.screenshot({ path: join(PICTURES, 'flows.png') });
    }
  },
);
