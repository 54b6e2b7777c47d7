/**
 * How code of the gateway is bundled for where there is no Node, or an older one: the console's pages, and the verifier
 * as one file (flows/lib/verify.cjs), which is kept in the repository.
 *
 *   node edge/console-bundle.ts [--check]    writes flows/lib/verify.cjs, or says whether it is current
 */
import { hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const VERIFIER = here('../flows/lib/verify.cjs');

const SHA256 = 'log/sha256.ts';
const ERRORS = 'errors.ts';

/**
 * Puts some files in the place of others, and of packages which no code uses that is run there: files, and what reads
 * the legacy form of readings.
 */
const inPlaceOf = (files: Readonly<Record<string, string>>): Plugin => ({
  name: 'in-place-of',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/(sha256|errors)\.ts$/, namespace: 'file' }, ({ resolveDir, path, importer }) => {
      const wanted = new URL(path, `file://${resolveDir}/`).pathname;
      const found = Object.keys(files).find((file) => here(file) === wanted);
      return found && importer !== here(files[found] as string) ? { path: here(files[found] as string) } : undefined;
    });
    onResolve({ filter: /^(node:(fs|zlib)|cborg)$/ }, () => ({ path: here('console/verify/no-node.ts') }));
  },
});

/** Puts what works without Node in the place of what doesn't. */
export const portable: Plugin = inPlaceOf({ [SHA256]: 'console/verify/sha256.ts' });
const alone: Plugin = inPlaceOf({
  [SHA256]: 'console/verify/sha256.ts',
  [ERRORS]: 'console/verify/errors.ts',
});

/** For a browser: an engine of the last two years. */
export const FOR_PAGES = {
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: ['es2023', 'chrome123', 'firefox120', 'safari17.5'],
  charset: 'utf8',
  plugins: [portable],
  define: { 'process.env.NODE_ENV': '"production"' },
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'silent',
} as const satisfies BuildOptions;

const BANNER = `/**
 * Made by \`node edge/console-bundle.ts\` from edge/console/verify/node.ts: do not edit. What it does, and with which
 * options, is said there. Packages inside: @noble/curves, @noble/ed25519, @noble/hashes, @scure/base, canonicalize,
 * cborg, typebox, viem (MIT and Apache-2.0).
 */`;

/** verify.html: the verifier and its page in one file, which may run nothing but what it was made with. */
export async function bundleVerifyPage(): Promise<string> {
  const { outputFiles } = await build({
    ...FOR_PAGES,
    format: 'iife',
    entryPoints: { verify: here('console/verify/page.tsx') },
    absWorkingDir: here('..'),
    outdir: here('.'),
    write: false,
  });
  const text = (end: string): string => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '';
  const [script, style] = [text('.js'), text('.css')];
  const digest = (inline: string): string => `'sha256-${hash('sha256', inline, 'base64')}'`;
  const policy = [
    "default-src 'none'",
    `script-src ${digest(script)}`,
    `style-src ${digest(style)}`,
    'img-src data:',
    'connect-src http: https:', // whichever node of the chain one wants
  ].join('; ');
  return `<!doctype html>
<html lang="en" data-theme="auto">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sejong Edge</title>
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<noscript>This page verifies receipts with JavaScript. Without: sejong-edge verify.</noscript>
<script>${script}</script>
</body>
</html>
`;
}

/** The verifier as CommonJS for Node 18 and later, without dependencies. */
export async function bundleVerifier(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [here('console/verify/node.ts')],
    bundle: true,
    minify: true,
    format: 'cjs',
    platform: 'node',
    target: ['node18'],
    plugins: [alone],
    banner: { js: BANNER },
    legalComments: 'none',
    logLevel: 'silent',
    charset: 'utf8',
    write: false,
    absWorkingDir: here('..'),
  });
  return (outputFiles[0] as { text: string }).text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = await bundleVerifier();
  if (!process.argv.includes('--check')) writeFileSync(VERIFIER, made);
  else if (readFileSync(VERIFIER, 'utf8') !== made) {
    console.error(`${VERIFIER} is not current: node edge/console-bundle.ts`);
    process.exitCode = 1;
  }
}
