/** The nodes in Node-RED's own editor, in a real browser. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { onTestFinished } from '../support/ends.ts';
import type { NodeRed } from './rig.ts';

const CHROMIUM = '/usr/bin/chromium';
const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) console.warn(`${CHROMIUM} is not there: the editor's pages are not tested (apt-get install chromium)`);

const DID = 'did:key:z6MkeVC2RLyJGBoQvkUSytEHC3dKi79X2Q35m5Vwcx4A9Gw9';
/** Of each node its palette words, and a property with a value that it must not take. */
const NODES: [type: string, en: string, ko: string, property: string, wrong: string, right: string][] = [
  ['edge-gateway', 'edge gateway', '엣지 게이트웨이', 'url', 'ftp://x', 'http://127.0.0.1:8080'],
  ['edge-readings-in', 'edge readings', '측정값', 'device', 'did:web:x', `${DID}, ${DID}`],
  ['edge-entries', 'edge entries', '항목 조회', 'limit', '1001', '1000'],
  ['edge-receipt', 'edge receipt', '영수증 검증', 'wait', 'soon', '0'],
  ['edge-sign', 'edge sign', '측정값 서명', 'did', 'me', DID],
  ['edge-certificate-in', 'edge certificates', '인증서', 'device', 'x', ''],
  ['edge-claim', 'edge claim', '크레딧 사용', 'recipient', 'x'.repeat(129), 'the library'],
  ['edge-check', 'edge check', '차량 확인', 'gate', 'North Gate', 'north'],
  ['edge-device', 'edge device', '기기', 'device', 'x', DID],
  ['edge-alarm-in', 'edge alarms', '경보', 'code', 'silent!', 'DEVICE_SILENT'],
];

async function openEditor(browser: Browser, red: NodeRed, locale: string): Promise<{ page: Page; wrong: string[] }> {
  const context = await browser.newContext({ locale, viewport: { width: 1400, height: 900 } });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(error.stack ?? error.message));
  page.on('console', (line) => {
    // Node-RED's own news and catalogues, which are elsewhere; what fails here is seen below.
    if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) wrong.push(line.text());
  });
  page.on('response', (answer) => {
    if (answer.status() >= 400 && answer.url().startsWith(red.url)) wrong.push(`${answer.status()} ${answer.url()}`);
  });
  await page.goto(red.url);
  await page.locator('.red-ui-palette-node[data-palette-type="edge-check"]').waitFor({ state: 'attached' });
  return { page, wrong };
}

type Validated = { type: string; id: string; valid: boolean; validationErrors?: string[] };
// Node-RED's editor is a global of its page.
type Red = {
  nodes: {
    filterNodes: (filter: { type: string }) => unknown[];
    eachNode: (each: (node: Validated) => void) => void;
    eachConfig: (each: (node: { type: string; id: string }) => void) => void;
    getNodeHelp: (type: string) => string;
  };
  editor: { edit: (node: unknown) => void; editConfig: (name: string, type: string, id: string) => void };
};

async function openDialog(page: Page, type: string): Promise<string> {
  await page.evaluate((of) => {
    const { nodes, editor } = (globalThis as unknown as { RED: Red }).RED;
    let config = '';
    nodes.eachConfig(({ type: is, id }) => {
      if (is === of) config = id;
    });
    if (config) editor.editConfig('', of, config);
    else editor.edit(nodes.filterNodes({ type: of })[0]);
  }, type);
  const form = page.locator('.red-ui-tray-body .form-row').first();
  await form.waitFor();
  return type === 'edge-gateway' ? '#node-config-input' : '#node-input';
}

/** Each node that is deployed has its dialog, its help and its validation, in this language. */
export async function checkEditor(red: NodeRed, locale: 'en-US' | 'ko-KR'): Promise<void> {
  if (!hasBrowser) return;
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  onTestFinished(() => browser.close());
  const { page, wrong } = await openEditor(browser, red, locale);
  const invalid = await page.evaluate(() => {
    const found: string[] = [];
    (globalThis as unknown as { RED: Red }).RED.nodes.eachNode(({ type, id, valid, validationErrors }) => {
      if (type.startsWith('edge-') && !valid) found.push(`${id}: ${validationErrors}`);
    });
    return found;
  });
  expect(invalid, 'no red triangle on a flow that is right').toEqual([]);
  for (const [type, en, ko, property, bad, good] of NODES) {
    const words = locale === 'ko-KR' ? ko : en;
    // It is broken into lines to fit.
    const inPalette = await page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`).allInnerTexts();
    if (type !== 'edge-gateway') expect(inPalette.join().replace(/\s+/g, ' ')).toBe(words);
    const field = `${await openDialog(page, type)}-${property}`;
    const body = page.locator('.red-ui-tray-body').last();
    const labels = (await body.locator('label span, option, .form-tips').allInnerTexts()).join('\n');
    expect(labels, `${type}: a word that is a key`).not.toMatch(/label\.|tip\.|sejong-edge\/|node-red:/);
    if (locale === 'ko-KR') expect(labels, type).toMatch(/[가-힣]/);
    for (const [value, isWrong] of [
      [bad, true],
      [good, false],
    ] as const) {
      await page.locator(field).fill(value);
      await page.locator(field).dispatchEvent('change');
      // Validated when the editor comes to it, not within the event.
      await page
        .locator(`${field}${isWrong ? '.input-error' : ':not(.input-error)'}`)
        .waitFor({ state: 'attached' })
        .catch(() => expect.fail(`${type}: ${property} = ${value} is taken for ${isWrong ? 'right' : 'wrong'}`));
    }
    await page.locator('#node-dialog-cancel, #node-config-dialog-cancel').last().click();
    await body.waitFor({ state: 'detached' });
    const help = await page.evaluate((of) => (globalThis as unknown as { RED: Red }).RED.nodes.getNodeHelp(of), type);
    expect(help, type).toMatch(locale === 'ko-KR' ? /<p>[^<]*[가-힣]/ : /<p>[A-Z]/);
  }
  expect(wrong).toEqual([]);
}
