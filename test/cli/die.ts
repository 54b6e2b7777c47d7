/** Loaded before a gateway (node --import): on SIGUSR2 it fails where nobody catches it, as TEST_DIE says. */
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const channel = new BroadcastChannel('die');
channel.unref();
if (isMainThread)
  process.on('SIGUSR2', () => {
    if (process.env.TEST_DIE === 'writer') channel.postMessage('');
    else if (process.env.TEST_DIE === 'reject') void Promise.reject(new Error('planted here'));
    else throw new Error('planted here');
  });
else
  channel.onmessage = () => {
    throw new Error('planted here');
  };
