/** Words that the pages Credits and Certificate share. */
import type { CertificateState, ClaimPurpose, MissingWhy } from '../../api/credit-views.ts';
import { words } from '../words.ts';
import type { Cell } from './credits-day.ts';

type Lang = 'en' | 'ko';

export const CELL_WORDS: Record<Lang, Record<Cell, string>> = {
  en: {
    ...{ minted: 'minted', part: 'claimed in part', claimed: 'claimed', sent: 'on its way', ready: 'ready' },
    ...{ refused: 'refused', withdrawn: 'withdrawn', residual: 'in a residual', nothing: 'no energy' },
    ...{ waiting: 'waits', missing: 'not read', ahead: 'to come' },
  },
  ko: {
    ...{ minted: '발행됨', part: '일부 사용됨', claimed: '사용됨', sent: '보내는 중', ready: '준비됨' },
    ...{ refused: '거절됨', withdrawn: '철회됨', residual: '잔여 에너지', nothing: '에너지 없음' },
    ...{ waiting: '기다림', missing: '읽지 못함', ahead: '아직' },
  },
};

/** What a state means, in a sentence. */
export const STATE_WHY: Record<Lang, Record<CertificateState, string>> = {
  en: {
    ready: 'It is complete, and waits for its turn to be sent to the chain.',
    sent: 'A transaction with it is on its way; no block has it yet.',
    minted: 'A block of the chain has it. Its credits can be held, sold, and claimed once.',
    refused: 'A rule, or the contract, said no. It is kept, with the reason, and is worth nothing.',
    withdrawn: 'It was corrected or taken back. What is left of its credits is worth nothing.',
  },
  ko: {
    ready: '완성되어 체인에 보낼 차례를 기다립니다.',
    sent: '이것을 담은 트랜잭션을 보냈고, 아직 어느 블록에도 없습니다.',
    minted: '체인의 블록에 있습니다. 크레딧을 가지고, 팔고, 한 번 사용할 수 있습니다.',
    refused: '규칙이나 컨트랙트가 받아들이지 않았습니다. 이유와 함께 남아 있으며 효력은 없습니다.',
    withdrawn: '고쳐졌거나 철회되었습니다. 남은 크레딧은 효력이 없습니다.',
  },
};

export const MISSING_WORDS: Record<Lang, Record<MissingWhy, string>> = {
  en: {
    ahead: 'This hour has not begun.',
    running: 'This hour is not over.',
    residual: 'Its energy is known together with that of other hours only: it is in a residual below.',
    'no-readings': 'No reading of the meter was received near its beginning or its end.',
    'no-start': 'No reading of the meter was received near its beginning.',
    'no-end': 'No reading of the meter was received near its end, so far.',
    'no-energy': 'The register stood still: there was no energy to certify.',
    clock: "It waits: what the gateway's clock was worth at a reading is not known yet.",
    suspended: 'It waits: the meter is suspended.',
    charge: 'It waits: a storage plant gives back only what was claimed to charge it.',
    pending: 'Both ends are read; the certificate is being made.',
  },
  ko: {
    ahead: '아직 시작되지 않은 시간입니다.',
    running: '아직 끝나지 않은 시간입니다.',
    residual: '다른 시간과 합쳐서만 에너지를 알 수 있습니다: 아래의 잔여 에너지에 있습니다.',
    'no-readings': '시작과 끝 가까이에서 받은 계량기의 값이 없습니다.',
    'no-start': '시작 가까이에서 받은 계량기의 값이 없습니다.',
    'no-end': '끝 가까이에서 받은 계량기의 값이 아직 없습니다.',
    'no-energy': '레지스터가 멈춰 있어 인증할 에너지가 없었습니다.',
    clock: '기다리는 중: 값을 받을 때 게이트웨이의 시계가 맞았는지 아직 모릅니다.',
    suspended: '기다리는 중: 계량기가 정지되어 있습니다.',
    charge: '기다리는 중: 저장 설비는 충전에 사용한 만큼만 되돌려 줍니다.',
    pending: '양 끝을 읽었고, 인증서를 만드는 중입니다.',
  },
};

export const PURPOSE_WORDS: Record<Lang, Record<ClaimPurpose, string>> = {
  en: {
    ...{ 'own-use': 'own use', 'k-re100': 'K-RE100', donation: 'donation', 'rec-application': 'REC application' },
    'storage-charge': 'to charge a storage plant',
  },
  ko: {
    ...{ 'own-use': '자가 사용', 'k-re100': 'K-RE100', donation: '기부', 'rec-application': 'REC 신청' },
    'storage-charge': '저장 설비 충전',
  },
};

const FLAGS: Record<Lang, Record<string, string>> = {
  en: {
    rollover: 'The register began anew in this hour.',
    night: 'Solar energy while the sun was below the horizon.',
    storage: 'From a storage plant: it gives back what was claimed to charge it.',
    'inverter-deviation': 'The inverter says something else than the meter.',
    'clock-corrected': "The gateway's clock was not set at a reading, and was found out later.",
  },
  ko: {
    rollover: '이 시간에 레지스터가 한 바퀴 돌았습니다.',
    night: '해가 지평선 아래에 있을 때의 태양광 에너지입니다.',
    storage: '저장 설비에서 나왔습니다: 충전에 사용한 만큼을 되돌려 줍니다.',
    'inverter-deviation': '인버터가 계량기와 다르게 말합니다.',
    'clock-corrected': '값을 받을 때 게이트웨이의 시계가 맞지 않았고, 나중에 알아냈습니다.',
  },
};
export const flagWords = (flag: string, lang: Lang): string => FLAGS[lang][flag] ?? flag;

const RESIDUAL_REASONS: Record<Lang, Record<string, string>> = {
  en: {
    gap: 'no reading between',
    swap: 'the meter was swapped',
    rekey: 'the meter got a new key',
    'boundary-fixed': 'the chain has another register at an end',
    shape: 'a reading at one end, a profile at the other',
    refused: 'a rule said no',
  },
  ko: {
    gap: '사이에 읽은 값이 없음',
    swap: '계량기 교체',
    rekey: '계량기의 키 교체',
    'boundary-fixed': '끝에서 체인의 값이 다름',
    shape: '한쪽은 값, 한쪽은 프로필',
    refused: '규칙이 받아들이지 않음',
  },
};
export const residualWords = (reason: string, lang: Lang): string => RESIDUAL_REASONS[lang][reason] ?? reason;

const TRADES: Record<Lang, Record<string, string>> = {
  en: { Listed: 'offered', Bought: 'sold', Cancelled: 'taken back' },
  ko: { Listed: '내놓음', Bought: '팔림', Cancelled: '거둬들임' },
};
export const tradeWords = (event: string, lang: Lang): string => TRADES[lang][event] ?? event;

export default words(
  {
    why: (wh: string) => `Why ${wh}?`,
    whyLead: 'Two registers that the meter signed, and the difference between them.',
    atStart: 'At the beginning',
    atEnd: 'At the end',
    readAt: 'read',
    entry: (index: string) => `entry ${index}`,
    difference: 'Difference',
    rollover: (modulus: string) => `The register begins anew at ${modulus}.`,
    cap: 'At most',
    capWhy: 'rated power, the time between the readings, and 5 %',
    capUnknown: 'the rated power is not known',
    profile: 'Both registers are in one signed day profile.',
    root: 'Log',
    rootOf: (size: string) => `under the root of ${size} entries`,
    noRoot: 'in no anchored checkpoint yet',
    anchor: 'Anchor',
    inBlock: (block: string, chain: string) => `in block ${block} of chain ${chain}`,
    noBlock: 'in no block yet',
    minted: 'Minted',
    owner: 'to account',
    hour: 'Hour',
    point: 'Metering point',
    device: 'Meter',
    energy: 'Energy',
    state: 'State',
    claimed: 'Claimed',
    transaction: 'Transaction',
    purpose: 'Purpose',
    recipient: 'Recipient',
    time: 'Time',
    open: 'Open the certificate',
    claim: 'Claim…',
    flags: 'To know',
    utc: (from: string, to: string) => `${from} to ${to} UTC`,
  },
  {
    why: (wh: string) => `왜 ${wh}인가요?`,
    whyLead: '계량기가 서명한 두 값과 그 차이입니다.',
    atStart: '시작',
    atEnd: '끝',
    readAt: '읽은 시각',
    entry: (index: string) => `항목 ${index}`,
    difference: '차이',
    rollover: (modulus: string) => `레지스터는 ${modulus}에서 새로 시작합니다.`,
    cap: '상한',
    capWhy: '정격 출력 × 두 값 사이의 시간 + 5 %',
    capUnknown: '정격 출력을 모릅니다',
    profile: '두 값이 서명된 하루 프로필 하나에 있습니다.',
    root: '로그',
    rootOf: (size: string) => `항목 ${size}개의 루트 아래`,
    noRoot: '아직 앵커된 체크포인트에 없습니다',
    anchor: '앵커',
    inBlock: (block: string, chain: string) => `체인 ${chain}의 블록 ${block}`,
    noBlock: '아직 어느 블록에도 없음',
    minted: '발행',
    owner: '받은 계정',
    hour: '시간',
    point: '계량점',
    device: '계량기',
    energy: '에너지',
    state: '상태',
    claimed: '사용',
    transaction: '트랜잭션',
    purpose: '용도',
    recipient: '받는 곳',
    time: '시각',
    open: '인증서 열기',
    claim: '사용…',
    flags: '알아 둘 것',
    utc: (from: string, to: string) => `${from} ~ ${to} UTC`,
  },
);
