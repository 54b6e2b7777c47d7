#!/usr/bin/env node
// argv, signals, exit code; nothing else. The version is checked before anything is imported that would crash
// under an older Node.
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < 24) {
  console.error(
    `NODE_VERSION: this is Node ${process.versions.node}, Sejong Edge needs 24: run it through npm (npm start), which brings one.`,
  );
  process.exit(2);
}

// A second start need not strip and compile everything again: it takes half the time and, without the type stripper,
// 18 MB less in each thread, which a Pi feels. The writer's thread looks for the cache in the environment.
const { directory } = (await import('node:module')).enableCompileCache();
if (directory !== undefined) process.env.NODE_COMPILE_CACHE = directory;
// V8 would let the space for young objects grow to 100 MB, and never shrink it. Scavenges of 1 MB are short.
(await import('node:v8')).setFlagsFromString('--semi-space-growth-factor=1');
const { runCommand } = await import('./commands/index.ts');
const { endInternal } = await import('./commands/exit.ts');
// Of promises too: Node hands a rejection that nobody handles to the same listeners.
process.on('uncaughtException', endInternal);
const stop = new AbortController();
// A terminal's Ctrl-C reaches npm and us, and some versions of npm hand it on: that is one request, not two.
const ONE_REQUEST_MS = 1_000;
let askedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (stop.signal.aborted && performance.now() - askedAt > ONE_REQUEST_MS) process.exit(130); // asked again: at once
    if (!stop.signal.aborted) askedAt = performance.now();
    stop.abort(signal);
  });
// A reader that has gone (npm start | head) must not cost the last checkpoint.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
process.exitCode = await runCommand(process.argv.slice(2), stop.signal);
// Whatever a library left open must not keep a stopped gateway alive.
process.exit();

export {};
