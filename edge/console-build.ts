/**
 * The console's files, made from edge/console by esbuild. A folder that was built ahead (a package brings one) is taken
 * as it is; else the result is kept under the hash of all that it is made of, so that it is made once.
 */
import { hash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EdgeError } from './errors.ts';

const EDGE = fileURLToPath(new URL('.', import.meta.url));
const SOURCE = join(EDGE, 'console');
/** Beside its sources, where a package was made with it. */
export const PREBUILT = join(SOURCE, 'dist');

/** What changes the result when it changes, beside the versions of packages. */
const FOLDERS = ['console', 'wire', 'log', 'credits', 'chain'];

/**
 * @param cache is made where it is not there; others' results in it (console-*) are taken away
 * @returns folder with index.html, app.js, app.css and what else the page asks for
 * @throws EdgeError CONSOLE_BUILD
 */
export async function buildConsole(cache: string): Promise<string> {
  // The bundler has a working folder of its own: a relative one would be another to it.
  const cacheFolder = resolve(cache);
  if (existsSync(join(PREBUILT, 'index.html'))) return PREBUILT;
  const name = `console-${fingerprint()}`;
  const folder = join(cacheFolder, name);
  if (existsSync(join(folder, 'index.html'))) return folder;
  let made: string | undefined;
  try {
    mkdirSync(cacheFolder, { recursive: true });
    made = mkdtempSync(join(cacheFolder, '.console-'));
    await bundle(made);
    for (const old of readdirSync(cacheFolder))
      if (/^\.?console-/.test(old) && join(cacheFolder, old) !== made)
        rmSync(join(cacheFolder, old), { recursive: true });
    renameSync(made, folder);
    return folder;
  } catch (error) {
    if (made) rmSync(made, { recursive: true, force: true });
    throw new EdgeError('CONSOLE_BUILD', (error as Error).message.slice(0, 2000));
  }
}

/** @param folder must be there and empty */
export async function bundle(folder: string): Promise<void> {
  // Only here: where the folder was built ahead there need be no esbuild.
  const [esbuild, { bundleVerifyPage, FOR_PAGES }] = await Promise.all([
    import('esbuild'),
    import('./console-bundle.ts'),
  ]);
  try {
    const app = esbuild.build({
      ...FOR_PAGES,
      absWorkingDir: EDGE,
      entryPoints: { app: join(SOURCE, 'main.tsx'), index: join(SOURCE, 'index.html'), icon: join(SOURCE, 'icon.svg') },
      loader: { '.html': 'copy', '.svg': 'copy' },
      splitting: true, // the verifier is a part of its own
      chunkNames: 'part-[hash]',
      outdir: folder,
    });
    const [alone] = await Promise.all([bundleVerifyPage(), app]);
    writeFileSync(join(folder, 'verify.html'), alone);
  } finally {
    await esbuild.stop(); // its process would outlive the build, idle
  }
}

function fingerprint(): string {
  const texts: string[] = [];
  const add = (path: string): void => {
    texts.push(path, hash('sha256', readFileSync(join(EDGE, path))));
  };
  add('../package.json'); // it pins each package that goes in, and the bundler
  for (const file of readdirSync(EDGE)) if (file.endsWith('.ts')) add(file);
  for (const folder of FOLDERS)
    for (const entry of readdirSync(join(EDGE, folder), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) add(join(entry.parentPath.slice(EDGE.length), entry.name));
  return hash('sha256', texts.join('\n')).slice(0, 16);
}
