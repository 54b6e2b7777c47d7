/** A file that only who is signed in may have: asked with the token, and handed to the browser. */
import { ask } from './api.ts';

/** @throws ApiError */
export async function download(path: string, name: string): Promise<void> {
  const url = URL.createObjectURL(await (await ask(path)).blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
