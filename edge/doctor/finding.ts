/** What an examination came to: one line, and what to do where something is wrong. */
export type State = 'ok' | 'warn' | 'bad';
export type Finding = {
  /** What was looked at: "clock", "port mqtt". */
  name: string;
  state: State;
  detail: string;
  todo?: string;
};

export const ok = (name: string, detail: string): Finding => ({ name, state: 'ok', detail });
export const warn = (name: string, detail: string, todo: string): Finding => ({ name, state: 'warn', detail, todo });
export const bad = (name: string, detail: string, todo: string): Finding => ({ name, state: 'bad', detail, todo });

export const worst = (findings: readonly Finding[]): State =>
  findings.some(({ state }) => state === 'bad')
    ? 'bad'
    : findings.some(({ state }) => state === 'warn')
      ? 'warn'
      : 'ok';

/** "1.5 GiB" */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  let value = n;
  for (; value >= 1024 && i < units.length - 1; i++) value /= 1024;
  return `${value >= 100 || i === 0 ? Math.round(value) : value.toFixed(1)} ${units[i]}`;
}
