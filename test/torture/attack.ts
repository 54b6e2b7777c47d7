/** What `npm run torture` runs: one promise under one kind of fire. */

export type Terms = {
  seed: number;
  /** The form that CI runs: seconds, not minutes. */
  short: boolean;
  /** A line of progress. */
  say: (line: string) => void;
};

export type Outcome = {
  /** What was done how often, in the order that is to be shown. */
  counts: Record<string, number>;
  /** Acknowledged, and not there. */
  lost: number;
  /** There more than once. */
  twice: number;
  /** Nothing lost, nothing twice, and whatever else this attack promises. */
  ok: boolean;
  /** Figures, or what went wrong. */
  detail: string;
};

export type Attack = {
  name: string;
  says: string;
  /** Left out of the short form: the suite, which runs beside that, has it. */
  fullOnly?: true;
  /** Ends all that it starts by onTestFinished() of test/support/ends.ts. Throwing is a verdict too: not ok. */
  run: (terms: Terms) => Promise<Outcome>;
};
