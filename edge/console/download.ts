/** A file that only who is signed in may have: asked with the token, and handed to the browser. */
import { ask } from './api.ts';

/** @throws ApiError */
export async function download(path: string, name: string): Promise<void> {
  save(await (await ask(path)).blob(), name);
}

export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const saveJson = (content: unknown, name: string): void =>
  save(new Blob([`${JSON.stringify(content, null, 2)}\n`], { type: 'application/json' }), name);
