/** Buffer for a browser: the shared code takes it for there. To be imported before anything that needs it. */
import { Buffer } from 'buffer/';

Object.defineProperty(globalThis, 'Buffer', { value: Buffer, configurable: true, writable: true });
