/** What of an RPC URL may be said. Pure, without viem. */

/** Providers put API keys into the path, the query or the user part of a URL: none of it goes into a log. */
export function withoutSecrets(rpc: string): string {
  try {
    return new URL(rpc).origin;
  } catch {
    return 'the RPC URL';
  }
}

/** Whether the URL says nothing but where to connect, so that it may be written down. */
export const isPublic = (rpc: string): boolean => URL.canParse(rpc) && `${new URL(rpc).origin}/` === new URL(rpc).href;

/** Nodes and proxies quote what they were sent. Short parts (v1, rpc) hide nothing, and are left to be words. */
export function scrub(text: string, rpc: string): string {
  if (!URL.canParse(rpc)) return text;
  const { username, password, pathname, searchParams } = new URL(rpc);
  const parts = [username, password, ...pathname.split('/'), ...searchParams.values()];
  return [...parts, ...parts.map(decoded)]
    .filter((part) => part.length > 3)
    .sort((a, b) => b.length - a.length)
    .reduce((clean, part) => clean.replaceAll(part, '***'), text);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
