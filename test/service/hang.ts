/** Loaded before a gateway (node --import): on SIGUSR2 the thread that TEST_HANG names hangs while its file is there. */
import { existsSync } from 'node:fs';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const nap = new Int32Array(new SharedArrayBuffer(4));
const hang = (): void => {
  while (existsSync(process.env.TEST_HANG_FILE as string)) Atomics.wait(nap, 0, 0, 10);
};
const channel = new BroadcastChannel('hang');
channel.unref();
if (isMainThread)
  process.on('SIGUSR2', () => {
    if (process.env.TEST_HANG === 'writer') channel.postMessage('');
    else hang();
  });
else channel.onmessage = hang;
