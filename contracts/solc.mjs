#!/usr/bin/env node
// What forge needs of a compiler, `--version` and `--standard-json`, from the wasm solc of npm.
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import solc from 'solc';

// A library outside the project's folder comes under two names (../node_modules/… and absolute), and imports between
// its files need the one that forge didn't send: read it from the disk, as the native compiler does by itself.
const fromDisk = (path) => ({ contents: readFileSync(path, 'utf8') });

if (process.argv.includes('--version')) console.log(`Version: ${solc.version()}`);
else process.stdout.write(solc.compile(await text(process.stdin), { import: fromDisk }));
