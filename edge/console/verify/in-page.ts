/** The verifier for a page: file.ts, after what it finds missing there. */
import './buffer.ts';

export * from './file.ts';
