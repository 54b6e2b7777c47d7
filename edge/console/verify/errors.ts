/**
 * Stands in for edge/errors.ts in the verifier that is kept in the repository: without the table, which each new code
 * anywhere in the gateway changes, and of which a verdict says only the code.
 */
import type { ErrorCode } from '../../errors.ts';

export class EdgeError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.name = 'EdgeError';
    this.code = code;
    this.detail = detail;
  }
}
