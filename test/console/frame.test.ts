/** The console's files: how they are made, kept and served. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { buildConsole } from '../../edge/console-build.ts';
import { startTestGateway } from '../support/gateway.ts';
import { tempFolder } from '../support/temp.ts';

/** A few hundred kilobytes at most: what a page waits for, and with the verifier, which is fetched when it has time. */
const FIRST = { bytes: 420_000, zipped: 160_000 };
const WHOLE = { bytes: 850_000, zipped: 300_000 };

describe('the build', () => {
  it('makes a few hundred kilobytes at most, once', async () => {
    const cache = join(tempFolder(), 'cache');
    mkdirSync(join(cache, 'console-0000'), { recursive: true });
    const folder = await buildConsole(cache);
    const files = readdirSync(folder).filter((name) => name !== 'verify.html');
    const parts = files.filter((name) => name.startsWith('part-'));
    const scripts = ['app.js'];
    for (const script of scripts)
      for (const [, part = ''] of readFileSync(join(folder, script), 'utf8').matchAll(
        /(?:from|import)"\.\/(part-\w+\.js)"/g,
      ))
        if (!scripts.includes(part)) scripts.push(part);
    const rest = files.filter((name) => !parts.includes(name));
    expect(rest.sort()).toEqual(['app.css', 'app.js', 'icon.svg', 'index.html']);
    const first = [...new Set([...rest, ...scripts])];
    for (const [names, most] of [
      [first, FIRST],
      [files, WHOLE],
    ] as const) {
      const texts = names.map((name) => readFileSync(join(folder, name)));
      expect(texts.reduce((sum, text) => sum + text.length, 0)).toBeLessThan(most.bytes);
      expect(texts.reduce((sum, text) => sum + gzipSync(text).length, 0)).toBeLessThan(most.zipped);
    }
    const made = statSync(join(folder, 'app.js')).mtimeMs;
    expect(await buildConsole(cache)).toBe(folder);
    expect(statSync(join(folder, 'app.js')).mtimeMs).toBe(made);
    expect(readdirSync(cache), 'what an older source made is gone').toEqual([folder.split('/').at(-1)]);
  });

  it('asks nobody but the gateway', async () => {
    const folder = await buildConsole(join(tempFolder(), 'cache'));
    for (const name of ['index.html', 'app.css'])
      expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/https?:\/\//);
  });
});

describe('serving', () => {
  it('gives each file with its type, a tag and a policy, zipped where one wants it', async () => {
    const gateway = await startTestGateway();
    for (const [path, type] of [
      ['/', 'text/html; charset=utf-8'],
      ['/app.js', 'text/javascript; charset=utf-8'],
      ['/app.css', 'text/css; charset=utf-8'],
      ['/icon.svg', 'image/svg+xml'],
    ] as const) {
      const answer = await fetch(gateway.info.http + path);
      expect(answer.status, path).toBe(200);
      expect(answer.headers.get('content-type')).toBe(type);
      expect(answer.headers.get('content-encoding')).toBe('gzip');
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
      expect(answer.headers.get('content-security-policy')).not.toContain("script-src 'self' 'unsafe-inline'");
      const etag = answer.headers.get('etag') as string;
      const again = await fetch(gateway.info.http + path, { headers: { 'if-none-match': etag } });
      expect(again.status).toBe(304);
      const plain = await fetch(gateway.info.http + path, { headers: { 'accept-encoding': 'identity' } });
      expect(await plain.text()).toBe(await answer.text());
    }
    for (const path of ['/nothing.js', '/..%2fapp.js', '/app.js.map'])
      expect((await gateway.api(path)).status, path).toBe(404);
  });

  it('says why there is none, goes on without, and serves it as soon as it can be made', async () => {
    const gateway = await startTestGateway();
    const cache = join(gateway.config.dataFolder, 'cache');
    writeFileSync(cache, 'in the way');
    const answer = await fetch(`${gateway.info.http}/`, { headers: { accept: 'text/html' } });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('content-type')).toContain('text/plain');
    expect(await answer.text()).toMatch(/^CONSOLE_BUILD: .*cache/);
    expect((await gateway.api('/app.js')).body).toMatchObject({ code: 'CONSOLE_BUILD', status: 503 });
    expect(gateway.lines.join('\n')).toContain('CONSOLE_BUILD');
    expect((await gateway.api('/health')).status).toBe(200);
    rmSync(cache);
    expect((await fetch(`${gateway.info.http}/`)).status).toBe(200);
  });
});
