/** Reasons and decisions of checks, in plain words: what was found, and what it may mean. */
import type { DecisionKind, Reason } from '../../wire/vc/check.ts';

type Lang = 'en' | 'ko';
type Evidence = Readonly<Record<string, string | number>>;

export const DECISION_WORDS: Record<Lang, Record<DecisionKind, string>> = {
  en: { ALLOW: 'Pass', ALLOW_STALE: 'Pass, on old data', REVIEW: 'Have a look', DENY: 'No' },
  ko: { ALLOW: '통과', ALLOW_STALE: '통과(오래된 자료)', REVIEW: '사람이 확인', DENY: '거절' },
};

const en: Record<Reason, string> = {
  OK: 'Its credential, its key and its place are all in order.',
  STATUS_STALE: "All is in order, by the city's list of revoked credentials that is not fresh any more.",
  MESSAGE_INVALID: 'What it sent is no presentation.',
  CLOCK: "The gateway's clock is not set, so it can judge no dates.",
  NO_BUNDLE: 'The gateway has no data from the city to judge by.',
  NONCE_UNKNOWN: 'It answers a question that this gateway never asked: it may have been recorded elsewhere.',
  NONCE_USED: 'It answers a question that was answered already: a recording, played again.',
  CHALLENGE_EXPIRED: 'It answered too late.',
  PRESENTATION_PROOF: 'It could not show that it holds the key it speaks for.',
  DOMAIN_MISMATCH: 'What it signed was meant for another gateway or zone.',
  CREDENTIAL_PROOF: 'Its credential is not signed as it should be: it was changed or made up.',
  HOLDER_MISMATCH: 'Its credential belongs to another key.',
  ISSUER_UNKNOWN: 'Its credential is from somebody whom the city does not know.',
  NOT_YET_VALID: 'Its credential is not valid yet.',
  EXPIRED: 'Its credential has run out.',
  REVOKED: 'Its credential was revoked.',
  SUSPENDED: 'Its credential is suspended for now.',
  STATUS_MISSING: 'The city publishes no list in which its credential could be looked up.',
  STATUS_TOO_OLD: "The city's list of revoked credentials is too old to judge by.",
  ZONE: 'Its credential does not open this zone.',
  PURPOSE: 'Its credential is not for this purpose.',
  COUNTER_REPLAY: 'Its counter went back: an old message, or a counter that was reset.',
  COUNTER_FORK: 'It used one count twice, with different data: two may hold the same key.',
  REGISTRATION_TWO_KEYS: 'Its registration came with another key not long ago: it may have been cloned.',
  IMPOSSIBLE_TRAVEL: 'It was somewhere else so shortly before that no vehicle gets here from there.',
  SPEED_DISPLACEMENT: 'Its speed does not go with how far it says it moved.',
  FROZEN_FIX: 'It says it drives, and its position stands still.',
  GNSS_TIME: 'The time of its satellite receiver is not the time of now.',
  OUT_OF_REACH: 'By its own position it is not at this gate.',
  TELEMETRY_MISMATCH: 'Its position and speed are not signed by the key that it presents.',
};

const ko: Record<Reason, string> = {
  OK: '자격 증명, 키, 위치가 모두 맞습니다.',
  STATUS_STALE: '모두 맞지만, 도시의 폐기 목록이 더는 새것이 아닙니다.',
  MESSAGE_INVALID: '보낸 것이 제시 메시지가 아닙니다.',
  CLOCK: '게이트웨이의 시계가 맞춰지지 않아 날짜를 판단할 수 없습니다.',
  NO_BUNDLE: '게이트웨이에 판단할 도시의 자료가 없습니다.',
  NONCE_UNKNOWN: '이 게이트웨이가 한 적 없는 질문에 답했습니다: 다른 곳에서 녹음한 것일 수 있습니다.',
  NONCE_USED: '이미 답한 질문에 다시 답했습니다: 녹음을 다시 튼 것입니다.',
  CHALLENGE_EXPIRED: '너무 늦게 답했습니다.',
  PRESENTATION_PROOF: '내세운 키를 가지고 있음을 보이지 못했습니다.',
  DOMAIN_MISMATCH: '서명한 것이 다른 게이트웨이나 구역을 위한 것입니다.',
  CREDENTIAL_PROOF: '자격 증명의 서명이 맞지 않습니다: 바뀌었거나 지어낸 것입니다.',
  HOLDER_MISMATCH: '자격 증명이 다른 키의 것입니다.',
  ISSUER_UNKNOWN: '도시가 모르는 곳에서 낸 자격 증명입니다.',
  NOT_YET_VALID: '자격 증명의 기간이 아직 시작되지 않았습니다.',
  EXPIRED: '자격 증명의 기간이 끝났습니다.',
  REVOKED: '폐기된 자격 증명입니다.',
  SUSPENDED: '지금은 정지된 자격 증명입니다.',
  STATUS_MISSING: '이 자격 증명을 찾아볼 목록을 도시가 내지 않았습니다.',
  STATUS_TOO_OLD: '도시의 폐기 목록이 너무 오래되어 판단할 수 없습니다.',
  ZONE: '이 구역을 여는 자격 증명이 아닙니다.',
  PURPOSE: '이 용도의 자격 증명이 아닙니다.',
  COUNTER_REPLAY: '카운터가 뒤로 갔습니다: 옛 메시지이거나 초기화된 카운터입니다.',
  COUNTER_FORK: '같은 카운트를 다른 자료로 두 번 썼습니다: 둘이 같은 키를 가진 것일 수 있습니다.',
  REGISTRATION_TWO_KEYS: '같은 등록 번호가 얼마 전 다른 키로 왔습니다: 복제되었을 수 있습니다.',
  IMPOSSIBLE_TRAVEL: '방금 전에 있던 곳에서 이 시간 안에 올 수 있는 차량은 없습니다.',
  SPEED_DISPLACEMENT: '말한 속도와 움직인 거리가 맞지 않습니다.',
  FROZEN_FIX: '달린다고 하는데 위치가 멈춰 있습니다.',
  GNSS_TIME: '위성 수신기의 시각이 지금 시각이 아닙니다.',
  OUT_OF_REACH: '스스로 말한 위치가 이 게이트가 아닙니다.',
  TELEMETRY_MISMATCH: '위치와 속도가 제시한 키로 서명되지 않았습니다.',
};

const REASON_WORDS: Record<Lang, Record<string, string>> = { en, ko };

/** A code that is newer than this page stands for itself. */
export const reasonWords = (reason: string, lang: Lang): string => REASON_WORDS[lang][reason] ?? reason;

/** What each figure of the evidence is called; its unit is in the figure. */
const FIGURES: Record<Lang, Record<string, string>> = {
  en: {
    ...{ metres: 'distance', radiusM: 'reach of the gate', seconds: 'in', kmh: 'would be', aheadSeconds: 'off by' },
    ...{
      from: 'from',
      to: 'to',
      other: 'other key',
      otherGate: 'at gate',
      otherMs: 'at',
      beforeMs: 'its own before, at',
    },
    ...{ counter: 'count', earlier: 'data before', now: 'data now', earlierMs: 'before, at', speedKmh: 'speed' },
    ...{ movedM: 'moved', drivenM: 'by its speed', fixes: 'positions' },
  },
  ko: {
    ...{ metres: '거리', radiusM: '게이트의 범위', seconds: '걸린 시간', kmh: '필요한 속도', aheadSeconds: '차이' },
    ...{ from: '출발', to: '도착', other: '다른 키', otherGate: '게이트', otherMs: '시각', beforeMs: '자기 이전 시각' },
    ...{ counter: '카운트', earlier: '이전 자료', now: '지금 자료', earlierMs: '이전 시각', speedKmh: '속도' },
    ...{ movedM: '움직인 거리', drivenM: '속도로 본 거리', fixes: '위치 수' },
  },
};
const UNITS: [RegExp, string][] = [
  [/^metres$|M$/, 'm'],
  [/[Kk]mh$/, 'km/h'],
  [/[Ss]econds$/, 's'],
];

/** Names and values of evidence, to be shown side by side. @param time how a moment (Unix ms) is written */
export function evidenceOf(
  evidence: Evidence,
  lang: Lang,
  time: (ms: number) => string,
): [name: string, value: string][] {
  return Object.entries(evidence).map(([key, value]) => {
    const name = FIGURES[lang][key] ?? key;
    if (typeof value === 'number' && /Ms$/.test(key)) return [name, time(value)];
    const unit = typeof value === 'number' ? UNITS.find(([of]) => of.test(key))?.[1] : undefined;
    const said = typeof value === 'number' ? value.toLocaleString(lang === 'ko' ? 'ko-KR' : 'en-GB') : value;
    return [name, unit ? `${said} ${unit}` : said];
  });
}
