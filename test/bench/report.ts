/** The table that `npm run bench` prints. A figure stands beside its peer or limit of the same run, as a ratio. */

export type Ratio = { value: number; wanted?: number; kind?: 'least' | 'most' };
export const ratio = (value: number, wanted?: number, kind?: 'least' | 'most'): Ratio => ({
  value,
  ...(wanted === undefined ? {} : { wanted }),
  ...(kind === undefined ? {} : { kind }),
});

export class Bench {
  missed = 0;

  title(text: string): void {
    console.log(`\n${text}`);
  }

  row(name: string, value: string, ratios: Record<string, Ratio> = {}): void {
    const parts = Object.entries(ratios).map(([of, r]) => {
      if (r.wanted === undefined) return `${r.value.toFixed(2)} ${of}`;
      const met = r.kind === 'most' ? r.value <= r.wanted : r.value >= r.wanted;
      if (!met) this.missed++;
      return `${r.value.toFixed(2)} ${of} (wanted: at ${r.kind} ${r.wanted}${met ? ', met' : ', MISSED'})`;
    });
    console.log(`  ${name.padEnd(52)} ${value.padEnd(28)} ${parts.join(', ')}`.trimEnd());
  }
}
