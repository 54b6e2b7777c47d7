/**
 * What a step found, in Korean. The steps speak English, as the auditor's tool does on a terminal; what is not known here
 * is shown as it is, so that nothing is ever left out.
 */
const KO: readonly [RegExp, string][] = [
  [/^entry (\d+), (\d+) bytes, a path of (\d+) hashes$/, '항목 $1, $2바이트, 해시 $3개의 경로'],
  [/^sealed: what it is over is not shown$/, '봉인됨: 내용은 보이지 않습니다'],
  [/^(\S+): (.+), (\d{4}-\S+Z), counter (\d+\/\d+)$/, '$1: $2, $3, 카운터 $4'],
  [/^by (did:\S+), over the salted reading that is shown$/, '$1의 봉인, 여기 보이는 측정값에 대한 것'],
  [/^by (did:\S+)$/, '서명자 $1'],
  [/^(?:both readings|the profile) by (did:\S+)$/, '서명자 $1'],
  [/^by (\S+), (\d+) entries$/, '서명자 $1, 항목 $2개'],
  [/^entry (\d+) is in the tree of (\d+) entries$/, '항목 $1은(는) 항목 $2개의 트리에 있습니다'],
  [/^(0x\w+) on chain (\d+) holds this root for (\d+) entries$/, '체인 $2의 $1에 항목 $3개의 이 루트가 있습니다'],
  [
    /^(0x\w+) on chain (\d+) holds this root for (\d+) entries, and answers the call with it$/,
    '체인 $2의 $1에 항목 $3개의 이 루트가 있고, 호출에도 같은 루트로 답합니다',
  ],
  [/^(0x\w+) on chain (\d+) holds a root of (\d+) entries$/, '체인 $2의 $1에 항목 $3개의 루트가 있습니다'],
  [/^(0x\w+) on chain (\d+) holds nothing of it yet$/, '체인 $2의 $1에는 아직 아무것도 없습니다'],
  [
    /^the (\d+) entries on the chain are the first of the (\d+) of the checkpoint$/,
    '체인의 항목 $1개는 체크포인트의 항목 $2개의 앞부분입니다',
  ],
  [/^(\d+), a quorum is (\d+): (.+)$/, '$1명 (필요한 수 $2): $3'],
  [/^(SIGNATURE_INVALID): not by (did:\S+)$/, '$1: $2의 서명이 아닙니다'],
  [
    /^(RECEIPT_INVALID): the path does not lead from entry (\d+) to the root of (\d+) entries$/,
    '$1: 경로가 항목 $2에서 항목 $3개의 루트에 이르지 않습니다',
  ],
  [
    /^(RECEIPT_INVALID): checkpoint: the signature of (\S+) does not verify$/,
    '$1: 체크포인트에 있는 $2의 서명이 맞지 않습니다',
  ],
  [/^(RECEIPT_INVALID): checkpoint: no signature by (\S+) with key id (\w+)$/, '$1: $2(키 $3)의 서명이 없습니다'],
  [
    /^(RECEIPT_INVALID): COSE receipt: the signature of (\S+) does not verify over the root that the path leads to$/,
    '$1: 경로가 이르는 루트에 대한 $2의 서명이 맞지 않습니다',
  ],
  [/^(CHAIN_WRONG): there is no contract at (0x\w+) on chain (\d+)$/, '$1: 체인 $3의 $2에는 계약이 없습니다'],
  [
    /^(RECEIPT_INVALID): (0x\w+) on chain (\d+) holds another root for (\d+) entries$/,
    '$1: 체인 $3의 $2에는 항목 $4개의 다른 루트가 있습니다',
  ],
  [
    /^(RECEIPT_INVALID): (0x\w+) on chain (\d+) holds no root of (\d+) entries for (\S+); .*$/,
    '$1: 체인 $3의 $2에는 $5의 항목 $4개 루트가 없습니다. 다음 앵커 뒤에 영수증을 다시 받으십시오',
  ],
  [/^(CHAIN_AWAY): (\S+) \((.+)\)$/, '$1: $2이(가) 응답하지 않습니다 ($3)'],
];

export function detailIn(lang: 'en' | 'ko', detail: string): string {
  if (lang === 'en') return detail;
  const found = KO.find(([pattern]) => pattern.test(detail));
  return found ? detail.replace(found[0], found[1]) : detail;
}
