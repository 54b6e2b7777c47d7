/**
 * Pictures of the console for the docs, of the demo as `npm start` runs it: SCREENSHOTS=1 npm test --
 * test/console/screenshots.test.ts writes edge/docs/*.png. Nothing in them is made up.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect, it, onTestFinished } from 'vitest';
import type { CertificateRowView } from '../../edge/api/credit-views.ts';
import type { DistrictRowView } from '../../edge/api/district.ts';
import { tempFolder, until } from '../support/temp.ts';
import { DESK, hasBrowser, PHONE, type View, WALL } from './browser.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUT = join(ROOT, 'edge/docs');
const STOP_MS = 15_000;

/** The demo, and the link that it prints. */
async function startDemo(): Promise<string> {
  const demo = spawn(
    process.execPath,
    ['edge/main.ts', 'demo', '--data', join(tempFolder(), 'data'), '--mqtt', '0', '--http', '0', '--no-flows'],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => demo.on('exit', resolve));
  onTestFinished(async () => {
    demo.kill('SIGTERM');
    const kill = setTimeout(() => demo.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(kill);
  }, 2 * STOP_MS);
  for await (const line of createInterface(demo.stdout)) {
    const link = /https?:\S+#\/sign-in\/\S+/.exec(line)?.[0];
    if (!link) continue;
    demo.stdout.resume();
    return link;
  }
  throw new Error('the demo ended without a link');
}

type Shot = View & { name: string; hash: string; ready?: (page: Page) => Promise<unknown> };

async function shoot(browser: Browser, origin: string, session: string, shot: Shot): Promise<void> {
  const { width, height, theme, lang } = shot;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: lang === 'ko' ? 'ko-KR' : 'en-GB',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  await page.addInitScript((text) => sessionStorage.setItem('sejong-edge.session', text), session);
  await page.goto(`${origin}/${shot.hash}`);
  await page.locator('main h1').waitFor();
  await expect.poll(() => page.locator('.loading').count(), { timeout: 15_000 }).toBe(0);
  await shot.ready?.(page);
  await page.evaluate('document.activeElement?.blur()');
  await page.screenshot({ path: join(OUT, `${shot.name}.png`) });
  await context.close();
}

it.skipIf(!process.env.SCREENSHOTS || !hasBrowser)('pictures of each page', { timeout: 300_000 }, async () => {
  mkdirSync(OUT, { recursive: true });
  const link = await startDemo();
  const { origin } = new URL(link);
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  onTestFinished(() => browser.close());
  const first = await browser.newPage({ viewport: DESK });
  await first.goto(link);
  await first.locator('main:not(.sign-in) h1').waitFor();
  const session = await first.evaluate<string>("sessionStorage.getItem('sejong-edge.session')");
  const { token } = JSON.parse(session) as { token: string };
  const get = async <T>(path: string): Promise<T> =>
    (await (await fetch(origin + path, { headers: { authorization: `Bearer ${token}` } })).json()) as T;

  const minted = async () =>
    (await get<{ certificates: CertificateRowView[] }>('/certificates?state=minted&limit=500')).certificates;
  const vitals = async () => (await get<{ vitals: { anchoredSize: number }[] }>('/vitals')).vitals;
  await until(async () => (await minted()).length >= 20, 'certificates are minted', 180_000);
  await until(async () => (await vitals()).length > 120, 'two minutes to draw', 180_000);
  const certificate = (await minted()).find(({ wh }) => wh > 500) ?? (await minted())[0];
  const { devices } = await get<{ devices: DistrictRowView[] }>('/district');
  const plant = devices.find((d) => d.label?.startsWith('credit plant honest'));
  // The day with most of them, in Korean time, as the page has its days.
  const days = (await minted()).map(({ slot }) => new Date(slot * 1000 + 9 * 3_600_000).toISOString().slice(0, 10));
  const count = (day: string): number => days.filter((d) => d === day).length;
  const [day] = days.sort((a, b) => count(b) - count(a));
  const anchored = (await vitals()).at(-1)?.anchoredSize ?? 0;
  const { entries } = await get<{ entries: { index: number }[] }>(
    `/entries?device=${plant?.did}&newest=true&limit=100`,
  );
  const proven = entries.find(({ index }) => index < anchored)?.index;

  const light = { theme: 'light', lang: 'en', ...DESK } as const;
  const dark = { theme: 'dark', lang: 'en', ...DESK } as const;
  const chart = (page: Page) => page.locator('.chart canvas').first().waitFor();
  const verified = async (page: Page): Promise<void> => {
    await page.locator('.verify-this button.primary').click();
    await page.locator('.v-verdict.ok').waitFor();
  };
  const answer = await fetch(`${origin}/entries/${proven}/receipt?format=cose`);
  const receipt = Buffer.from(await answer.arrayBuffer());
  // The register's last byte: the meter would have signed something else.
  const at = receipt.indexOf('Wh') + 4;
  const changed = Buffer.from(receipt.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  const drop = async (page: Page, buffer: Buffer): Promise<void> => {
    const file = { name: `entry-${proven}.cose`, mimeType: 'application/cose', buffer };
    await page.locator('input[type=file]').setInputFiles(file);
    await page.locator('.v-verdict:not([data-state=running])').waitFor();
  };
  const now = async (page: Page) => {
    await page.locator('.now-verdict').waitFor();
    await page.getByText('EQUIVOCATION').waitFor(); // of the demo's own cheats
  };
  const shots: Shot[] = [
    { ...light, name: 'now', hash: '#/now', ready: now },
    { ...dark, ...WALL, lang: 'ko', name: 'now-wall', hash: '#/now', ready: now },
    { ...dark, ...PHONE, name: 'now-phone', hash: '#/now', ready: now },
    { ...light, name: 'district', hash: '#/district' },
    { ...light, ...PHONE, lang: 'ko', name: 'district-phone', hash: '#/district' },
    { ...dark, name: 'device', hash: `#/device/${plant?.did}`, ready: chart },
    { ...light, name: 'log', hash: '#/log' },
    { ...light, name: 'entry', hash: `#/entry/${proven}`, ready: verified },
    { ...light, name: 'verify', hash: '#/verify', ready: (page) => drop(page, receipt) },
    { ...dark, name: 'verify-changed', hash: '#/verify', ready: (page) => drop(page, changed) },
    { ...light, name: 'credits', hash: `#/credits?day=${day}` },
    { ...light, name: 'certificate', hash: `#/certificate/${certificate?.id}` },
    { ...dark, name: 'checks', hash: '#/checks' },
    { ...light, name: 'quarantine', hash: '#/quarantine' },
    { ...dark, lang: 'ko', name: 'people', hash: '#/people' },
  ];
  for (const shot of shots) await shoot(browser, origin, session, shot);
});
