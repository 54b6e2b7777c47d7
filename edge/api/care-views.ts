/** What /care says, as schemas; the types follow from them. */
import Type, { type Static } from 'typebox';

const Ms = Type.Integer({ description: 'Unix time in milliseconds' });
export const VERDICTS = ['none', 'call', 'visit'] as const;
const GRADES = ['usual', 'unusual', 'very-unusual', 'unknown'] as const;

export const SubjectView = Type.Object({
  did: Type.String({ description: 'The meter of the household' }),
  sub: Type.String(),
  label: Type.Union([Type.String(), Type.Null()]),
  grade: Type.Enum([...GRADES], {
    description:
      "How far the last 24 hours are from the subject's own last 60 days. By its own making about one usual day in twenty is unusual; it is no diagnosis",
  }),
  reason: Type.Enum(['as-usual', 'quiet-for-long', 'uses-little', 'too-few-days', 'no-readings']),
  days: Type.Integer({ description: 'Days of the 60 that could be compared with' }),
  sinceMs: Ms,
  untilMs: Type.Union([Ms, Type.Null({ description: 'Until it is withdrawn' })]),
  gradedMs: Type.Integer({ description: 'The full hour up to which the day was looked at, Unix milliseconds' }),
  decision: Type.Union([
    Type.Object({
      atMs: Ms,
      by: Type.String({ description: 'Who decided' }),
      grade: Type.String({ description: 'What it was when that was decided' }),
      decision: Type.Enum([...VERDICTS]),
      note: Type.String(),
    }),
    Type.Null({ description: 'Nothing was decided yet' }),
  ]),
});
export type SubjectView = Static<typeof SubjectView>;
export type Verdict = (typeof VERDICTS)[number];
