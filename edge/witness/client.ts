/** One add-checkpoint (C2SP tlog-witness) to a witness that may be slow, broken or hostile. */
import { EdgeError } from '../errors.ts';
import { parseSignatureLines, splitNote, type VerifierKey } from '../log/checkpoint.ts';
import { type AddCheckpoint, type Cosignature, encodeAddCheckpoint, findCosignature } from '../log/cosignature.ts';

/** Room for the cosignatures of a witness with many keys. */
const MAX_ANSWER = 64 * 1024;
const MAX_WHY = 120;

/** It cosigned; or it holds so many entries, and wants a proof from there; or it holds another history. */
export type WitnessSays = { cosigned: Cosignature } | { holds: number } | { differs: string };

/**
 * @param url the submission prefix
 * @throws EdgeError WITNESS_AWAY, WITNESS_REFUSED
 */
export async function addCheckpoint(
  url: string,
  key: VerifierKey,
  request: AddCheckpoint,
  signal: AbortSignal,
): Promise<WitnessSays> {
  let status: number;
  let type: string;
  let text: string;
  try {
    const answer = await fetch(`${url.replace(/\/$/, '')}/add-checkpoint`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: encodeAddCheckpoint(request),
      redirect: 'error',
      signal,
    });
    status = answer.status;
    type = (answer.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
    text = await readCapped(answer);
  } catch (error) {
    if (error instanceof EdgeError) throw error;
    throw new EdgeError('WITNESS_AWAY', `${key.name} (${reason(error)})`);
  }
  if (status === 200) return { cosigned: readCosigned(key, request.note, text) };
  if (status === 409 && type === 'text/x.tlog.size') {
    const size = /^(0|[1-9]\d{0,15})\n$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(size)) throw new EdgeError('WITNESS_REFUSED', `${key.name}: its size is no number`);
    return { holds: size };
  }
  if (status === 409 || status === 422)
    return { differs: status === 409 ? 'another root' : 'a root that ours does not grow from' };
  const said = `${key.name}: HTTP status ${status}`;
  throw new EdgeError(status >= 500 || status === 429 || status === 408 ? 'WITNESS_AWAY' : 'WITNESS_REFUSED', said);
}

/** @throws EdgeError WITNESS_REFUSED */
function readCosigned(key: VerifierKey, note: string, text: string): Cosignature {
  let found: Cosignature | undefined;
  try {
    found = findCosignature(splitNote(note).body, parseSignatureLines(text), key);
  } catch (error) {
    throw new EdgeError('WITNESS_REFUSED', `${key.name}: ${(error as EdgeError).detail}`);
  }
  if (!found) throw new EdgeError('WITNESS_REFUSED', `${key.name}: no cosignature by its key`);
  return found;
}

async function readCapped(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the body, and with it the connection.
    if (length > MAX_ANSWER) throw new EdgeError('WITNESS_REFUSED', `an answer of more than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** fetch says nothing but that it failed; what is under it says why. */
function reason(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const why = cause?.code ?? cause?.message ?? (error as Error).name;
  return why.split('\n')[0]?.slice(0, MAX_WHY) ?? 'unknown';
}
