/**
 * Korean of what the gateway says of errors. English is what the API says itself (edge/errors.ts, title and todo), so
 * this is the one other language of that table; a test holds the two against each other.
 */
import { ERRORS, type ErrorCode } from '../errors.ts';

/** As words.ts has it, which needs a browser. */
type Lang = 'en' | 'ko';

export type ErrorWords = { title: string; todo: string };
const row = (title: string, todo: string): ErrorWords => ({ title, todo });

const KO: Partial<Record<ErrorCode | 'GATEWAY_AWAY', ErrorWords>> = {
  GATEWAY_AWAY: row(
    '게이트웨이가 응답하지 않습니다',
    '네트워크와 게이트웨이의 전원을 확인하세요. 연결되면 저절로 이어집니다.',
  ),
  SIGN_IN_INVALID: row(
    '로그인 코드가 없거나 이미 쓰였거나 10분이 지났습니다',
    '게이트웨이에서 새 링크를 만드세요(sejong-edge console). 토큰으로 로그인할 수도 있습니다.',
  ),
  // --- console, config, care, flows
  CARE_UNFIT: row(
    '이 장치로는 아무도 돌볼 수 없습니다',
    '가정의 사용 중인 계량기(1-0:1.8.0을 과금하는 봉인 종류)이고 아직 돌봄 대상이 아닌 장치를 대세요.',
  ),
  CARE_UNKNOWN: row(
    '이 장치로 돌보는 사람이 없습니다',
    'GET /care를 보세요. 신청하지 않았거나 철회한 사람은 거기에 없습니다.',
  ),
  CARE_FULL: row(
    '이 게이트웨이가 돌볼 수 있는 사람이 다 찼습니다',
    '더는 필요하지 않은 사람의 돌봄을 끝내세요(POST /care/{did}/withdraw).',
  ),
  CONSOLE_BUILD: row(
    '콘솔을 만들지 못했습니다',
    '나머지는 콘솔 없이도 움직입니다. 데이터 폴더를 비우고 npm ci가 끝까지 되었는지 확인하세요(esbuild가 프로그램을 하나 가져옵니다).',
  ),
  BACKUP_INVALID: row(
    '백업이 온전하지 않거나 만들 수 없습니다',
    '데이터베이스 두 벌이 들어갈 공간을 마련해 다시 만들고, 손상된 파일이면 다른 사본을 쓰세요.',
  ),
  RESTORE_REFUSED: row(
    '백업을 복원할 곳에 데이터가 있습니다',
    '무엇이 있는지 확인하세요(--dry-run). --force를 주면 before-... 폴더로 옮기며 아무것도 지우지 않습니다.',
  ),
  CONFIG_ROLLED_BACK: row(
    '게이트웨이가 그 설정으로 시작하지 못해 마지막으로 정상이던 설정으로 움직입니다',
    '자세한 내용을 보고 고쳐 적용하거나(sejong-edge config apply) 마지막 정상 설정으로 되돌리세요(sejong-edge config rollback).',
  ),
  CONFIG_NO_FILE: row(
    '이 게이트웨이는 설정 파일로 시작하지 않았습니다',
    'sejong-edge run --config FILE로 시작하세요. npm start는 설정을 스스로 만듭니다.',
  ),
  RESTART_UNATTENDED: row(
    '게이트웨이를 다시 시작해 줄 것이 없습니다',
    '직접 멈추고 시작하거나 systemd 또는 --supervise로 실행하세요.',
  ),
  FLOWS_CRASHED: row(
    'Node-RED가 저절로 끝났습니다. 측정값은 그대로 받습니다',
    '마지막에 배포한 흐름을 보세요: 끝없이 돌거나 예외를 던지거나 받은 것을 모두 쌓아 두는 흐름입니다. 10분 안에 세 번 죽으면 누군가 배포하기 전에는 흐름을 시작하지 않습니다.',
  ),
  FLOWS_SAFE_MODE: row(
    'Node-RED가 안전 모드입니다. 편집기는 열리고 흐름은 돌지 않습니다',
    '편집기를 열어 죽은 흐름을 고치거나 끄고 배포하세요.',
  ),
  // --- alarms
  DEVICE_SILENT: row(
    '장치에서 평소보다 오래 아무것도 오지 않습니다',
    '전원과 통신을 확인하세요. 아주 떼어 낸 장치라면 폐지하세요: sejong-edge device revoke.',
  ),
  DISK_LOW: row(
    '디스크가 차고 있습니다',
    '디스크를 비우거나 retention.maxBytes를 늘리거나 retention.days를 줄이세요. 예비 공간에 이를 때까지는 측정값을 받습니다.',
  ),
  CLOCK_UNSYNCED: row(
    '게이트웨이의 시계를 보증하는 것이 없습니다',
    '시각 원천(NTP, GNSS)을 연결하세요. 측정값은 그대로 받지만 인증서는 동기화를 기다립니다.',
  ),
  CERTIFICATE_ENDS: row(
    'TLS 인증서가 곧 만료되거나 이미 만료되었습니다',
    '새 인증서를 그 파일에 넣으세요. 다시 시작하지 않아도 읽습니다.',
  ),
  DATABASE_ASIDE: row(
    '데이터베이스 하나를 따로 두고 새 로그를 시작했습니다',
    '데이터 폴더 밖의 안전한 곳으로 옮기세요. 이전 로그의 기록을 증명합니다(sejong-edge salvage).',
  ),
  CREDITS_WAIT: row('인증서나 그 달의 REC가 무언가를 기다립니다', '자세한 내용과 GET /health의 credits를 보세요.'),
  PART_UNWELL: row(
    '게이트웨이의 한 부분이 정상이 아닙니다',
    '자세한 내용과 그 무렵의 게이트웨이 로그, GET /health를 보세요.',
  ),
  ALARM_STATE: row(
    '이미 끝났거나 저절로만 끝나는 경보입니다',
    '원인을 고치면 다음 확인 때 끝납니다. GET /alarms를 보세요.',
  ),
  // --- envelopes
  ENVELOPE_TOO_LARGE: row('봉투가 65,535바이트보다 큽니다', '한 묶음에 기록을 더 적게 담으세요.'),
  CBOR_INVALID: row(
    '바이트가 결정적 CBOR이 아닙니다',
    'RFC 8949 4.2.1절대로 인코딩하세요: 가장 짧은 형식, 정해진 길이, 정렬된 키, 태그는 18만.',
  ),
  ENVELOPE_INVALID: row(
    '바이트가 봉투가 아닙니다',
    '태그가 붙은 COSE_Sign1을 보내세요. 보호 헤더는 alg, 콘텐츠 형식 112, CWT 클레임 iss, sub, iat, cti입니다.',
  ),
  SENML_INVALID: row(
    '페이로드가 SenML 묶음이 아닙니다',
    'RFC 8428대로 이름이 풀린 기록의 배열을, 기록마다 값 하나씩 보내세요.',
  ),
  PROFILE_MISMATCH: row(
    '묶음이 장치의 프로필과 맞지 않습니다',
    '장치의 종류와 비교하세요(sejong-edge profiles show KIND). 과금 레지스터가 맨 앞에, Wh 단위의 부호 없는 정수로 와야 하고 값마다 단위와 범위가 맞아야 합니다. 범위를 넘는 장치는 고장이거나 다른 종류입니다.',
  ),
  DID_INVALID: row(
    'DID가 쓸 수 있는 did:key가 아닙니다',
    'Ed25519 키(z6Mk…)나 압축된 P-256 점(zDn…)의 정규형 did:key를 쓰세요.',
  ),
  ALG_MISMATCH: row(
    '서명 알고리즘이 장치의 키와 맞지 않습니다',
    'Ed25519 키에는 alg -19 또는 -8, P-256 키에는 -9를 쓰세요(RFC 9864).',
  ),
  SIGNATURE_INVALID: row(
    '서명이 검증되지 않습니다',
    'RFC 9052 4.4절의 Sig_structure를 DID가 가리키는 키로 서명하세요. P-256은 r || s로 보내고, s가 n/2보다 크면 n - s를 쓰세요.',
  ),
  DEVICE_UNKNOWN: row('이 장치는 여기에 등록되어 있지 않습니다', '등록하세요: sejong-edge enroll 또는 POST /devices.'),
  DEVICE_INACTIVE: row(
    '이 장치는 지금 말할 수 없습니다',
    '운영자는 정지된 장치를 다시 켤 수 있습니다. 폐기되거나 교체된 장치는 계속 침묵합니다.',
  ),
  ISSUER_MISMATCH: row('봉투가 그 토픽의 장치에서 온 것이 아닙니다', '서명한 DID(iss)로 up/{did}/ 아래에 발행하세요.'),
  SUBJECT_MISMATCH: row(
    '봉투가 재는 것이 장치가 등록된 대상과 다릅니다',
    'sub를 등록된 계량점이나 차량으로 맞추거나 장치를 교체하세요.',
  ),
  CUSTODY_MISMATCH: row(
    '토픽이 이 장치의 키 보관자와 맞지 않습니다',
    '키가 장치에 있으면 up/{did}/cose에 서명한 봉투를, 게이트웨이에 있으면 up/{did}/senml에 SenML을 발행하세요.',
  ),
  REPLAY: row(
    '카운터(cti)가 로그에 있는 것보다 낮고, 열린 틈을 메우지도 않습니다',
    '카운터를 다시 쓰지 마세요: 켤 때마다 부트 에폭을, 봉투마다 순번을 올리세요.',
  ),
  EQUIVOCATION: row(
    '같은 카운터(cti)가 다른 바이트에 쓰였습니다',
    '복제된 키나 초기화된 카운터를 찾으세요. 키가 새어 나갔을 수 있으면 장치를 교체하세요.',
  ),
  QUARANTINE_FULL: row(
    '이 장치의 격리 공간이 가득 차 아무것도 확인 응답하지 않았습니다',
    '운영자가 격리된 것을 살펴 폐기하거나 intake.maxQuarantinePerDevice, maxQuarantine을 올리세요.',
  ),
  DISK_RESERVE: row(
    '디스크가 예비분까지 가득 차 아무것도 확인 응답하지 않았습니다',
    '디스크를 비우거나 retention.maxBytes를 올리거나 retention.days를 줄이세요. 장치는 스스로 다시 보냅니다.',
  ),
  // --- connections and requests
  LOGIN_FAILED: row('로그인이 거절되었습니다', '사용자 이름과 비밀번호 또는 토큰을 확인하세요.'),
  LOGIN_THROTTLED: row(
    '실패한 로그인이 너무 많아 이번 것은 보지 않았습니다',
    '1분 기다리세요. 비밀번호나 토큰을 고치거나 계속 시도하는 프로그램을 멈추세요.',
  ),
  TOKEN_INVALID: row('토큰이 없거나 유효하지 않습니다', '하나 만드세요: sejong-edge token make --role viewer.'),
  TOKENS_FULL: row(
    '끝나지 않은 토큰이 보관 한도만큼 있습니다',
    '더 짧게 사는 토큰을 쓰세요. 폐기된 토큰도 끝날 때까지 자리를 차지합니다.',
  ),
  ROLE_MISSING: row('토큰에 필요한 역할이 없습니다', '더 높은 역할의 토큰을 쓰세요(viewer < engineer < operator).'),
  TOPIC_FORBIDDEN: row(
    '이 로그인은 이 토픽을 쓸 수 없습니다',
    '장치는 up/{자기 did}/ 아래에 발행하고 down/{자기 did}/를 읽습니다. 사람은 live/를 읽습니다.',
  ),
  PACKET_INVALID: row(
    'MQTT 패킷이 잘못되었거나 한도를 넘습니다',
    'MQTT 3.1.1을 쓰세요. 한도는 설정의 mqtt에 있습니다.',
  ),
  REQUEST_INVALID: row('요청이 스키마와 맞지 않습니다', '매개변수와 범위는 /docs를 보세요.'),
  NOT_FOUND: row('이 주소에는 아무것도 없습니다', '경로는 /docs를 보세요.'),
  NOT_IN_CHECKPOINT: row(
    '아직 어떤 체크포인트도 이 항목을 덮지 않습니다',
    '다음 체크포인트가 나온 뒤, 몇 초 후에 다시 물으세요.',
  ),
  NOT_ANCHORED: row(
    '아직 어떤 앵커도 이 항목을 덮지 않습니다',
    '다음 앵커 뒤에 다시 묻거나, 체크포인트만 있으면 되는 다른 형식을 쓰세요.',
  ),
  ENTRY_PRUNED: row(
    '이 항목의 내용은 여기에 더는 보관되지 않습니다',
    '전에 내보낸 번들(sejong-edge export)을 보세요. 항목의 해시는 아직 로그에 있습니다.',
  ),
  ENTRY_FORGOTTEN: row(
    '이 봉인된 항목의 내용은 파기되었습니다',
    '영수증은 무언가 있었다는 것을 여전히 증명합니다(GET /entries/{index}/receipt).',
  ),
  SUBJECT_UNKNOWN: row(
    '이 DID나 URN으로 불리는 것이 여기 없습니다',
    '장치의 DID나 등록된 URN(sub)을 주세요. GET /devices에 둘 다 있습니다.',
  ),
  GAP_NOT_OPEN: row(
    '그 카운터들은 이 장치의 열린 틈 하나가 아닙니다',
    'GET /devices/{did}에서 열린 틈을 보세요. 한 번 분실로 선언된 것은 그대로입니다.',
  ),
  DEVICE_EXISTS: row('이 장치는 이미 등록되어 있습니다', 'GET /devices/{did}에서 보거나 교체하세요.'),
  CLAIM_INVALID: row(
    '등록 코드가 맞다는 것이 보여지지 않았거나, 그런 코드가 없습니다',
    '받은 코드를 그대로, 기한 안에 쓰세요.',
  ),
  CLAIM_TAKEN: row(
    '등록 코드를 다른 장치가 썼거나 코드가 취소되었습니다',
    '운영자에게 취소하고 새로 만들어 달라고 하세요. 우리 쪽 누구도 쓰지 않았다면 코드가 새어 나간 것입니다.',
  ),
  CLAIM_STATE: row(
    '등록 코드의 상태가 이 일을 허락하지 않습니다',
    '장치가 온 것은 확인할 수 있고, 열렸거나 장치가 온 것은 취소할 수 있습니다. 나머지는 끝난 것입니다.',
  ),
  CLAIMS_FULL: row('열린 등록 코드가 보관 한도만큼 있습니다', '필요 없는 것을 취소하거나 기한이 지나기를 기다리세요.'),
  FINGERPRINT_DIFFERS: row(
    '지문이 이 코드로 온 장치의 것과 다릅니다',
    '장치에 보이는 것과 다시 비교하세요. 정말 다르면 다른 장치가 코드를 쓴 것이니 취소하세요.',
  ),
  STATE_CONFLICT: row(
    '장치의 상태가 이 일을 허락하지 않습니다',
    '활성 장치는 정지, 폐기, 교체할 수 있고 정지된 장치는 다시 켤 수 있습니다. 폐기와 교체는 되돌릴 수 없습니다.',
  ),
  REKEY_UNPROVEN: row(
    '옛 키가 이것이 자기의 새 키라고 서명하지 않았습니다',
    '"sejong-edge/rekey@1", 옛 DID, 새 DID를 각각 줄바꿈과 함께 옛 키로 서명하세요. 키를 잃은 장치는 교체합니다.',
  ),
  // --- witnesses
  WITNESS_LOG_UNKNOWN: row('이 증인은 그 로그를 모릅니다', '증인의 운영자가 로그의 검증 키를 witness.logs에 넣습니다.'),
  WITNESS_UNSIGNED: row(
    '체크포인트가 이 증인이 그 로그에 대해 믿는 키로 서명되지 않았습니다',
    '로그의 검증 키(/log/key)를 witness.logs의 것과 비교하세요.',
  ),
  WITNESS_UNPROVEN: row(
    '증명이 증인이 가진 체크포인트에서 새 체크포인트로 이어지지 않습니다',
    '증인이 답하는 크기에서 증명을 만드세요. 또 실패하면 루트를 비교하세요: 로그에 두 역사가 있을 수 있습니다.',
  ),
  WITNESS_SPLIT_VIEW: row(
    '로그가 한 크기에 두 루트를 서명했습니다',
    '두 체크포인트를 보관하세요(GET /witness/evidence). 로그에 두 역사가 있다는 증거입니다.',
  ),
  WITNESS_BUSY: row(
    '이 로그에 대한 공동 서명 요청이 한도를 넘습니다',
    '1초 뒤에, 가장 새로운 체크포인트만 물으세요(witness.maxRate).',
  ),
  WITNESS_AWAY: row(
    '증인이 응답하지 않습니다',
    '체크포인트는 그 공동 서명 없이 발행되며, 증인에게는 저절로 다시 묻습니다.',
  ),
  WITNESS_REFUSED: row(
    '증인의 답에 쓸 수 있는 공동 서명이 없습니다',
    'log.witnesses의 검증 키와 URL을 비교하고, 증인의 운영자에게 이 로그를 아는지 물으세요.',
  ),
  LOG_BEHIND_WITNESS: row(
    '로그가 증인이 가진 것보다 뒤처졌거나 다릅니다',
    '데이터 폴더의 가장 새로운 사본을 되돌리세요. 그때까지 읽은 값은 보관되지만 체크포인트는 서명되지 않습니다. 증인이 틀린 것이 분명하면 log.witnesses에서 빼세요.',
  ),
  READERS_FULL: row(
    '한도만큼의 독자가 연결되어 있습니다',
    '하나를 닫거나 나중에 다시 하거나 http.maxEventStreams를 올리세요.',
  ),
  INTERNAL: row('게이트웨이가 이 요청에서 실패했습니다', '이 시각 즈음의 게이트웨이 로그를 보세요.'),
  STORE_UNAVAILABLE: row(
    '저장소가 지금 받을 수 없어 아무것도 확인 응답하지 않았습니다',
    '디스크 공간과 상태를 확인하세요. 장치는 스스로 다시 보냅니다.',
  ),
  // --- vehicle checks
  MESSAGE_INVALID: row(
    '메시지가 정해진 형식이 아닙니다',
    '지적된 항목을 고치세요. 모르는 항목, 두 번 나오는 이름, Z 없는 시각은 거절됩니다.',
  ),
  PROOF_INVALID: row(
    '증명이 검증되지 않습니다',
    '기대되는 키와 목적으로, Ed25519는 eddsa-jcs-2022, P-256은 ecdsa-jcs-2019(r || s, 낮은 s)로 서명하세요.',
  ),
  STATUS_LIST_INVALID: row(
    '상태 목록을 쓸 수 없습니다',
    'Bitstring Status List v1.0대로, u 뒤에 16 KiB에서 1 MiB의 gzip을 base64url로 발행하세요.',
  ),
  CITY_BUNDLE_INVALID: row(
    '도시 번들을 쓸 수 없어 가지고 있던 것을 그대로 둡니다',
    '도시에서 다시 받고, 도시의 키를 checks.cityDid와 비교하세요.',
  ),
  BUNDLE_ROLLBACK: row(
    '도시 번들이 가지고 있는 것보다 오래되었습니다',
    '가장 새로운 것을 가져오고, 누가 옛것을 가져왔는지 알아보세요: 폐기를 숨기는 것일 수 있습니다.',
  ),
  BUNDLE_CONFLICT: row(
    '도시가 한 버전으로 두 번들을 서명했습니다',
    '도시에 더 높은 버전으로 발행해 달라고 하세요. 둘 다 보관하세요, 증거입니다.',
  ),
  NO_BUNDLE: row(
    '이 게이트웨이를 보증하는 도시 번들이 없어 어떤 차량에도 묻지 않습니다',
    '가장 새로운 도시 번들을 가져오세요(checks.bundleFile, checks.bundleUrl, POST /checks/bundle). 이 게이트웨이의 DID와 이름이 있어야 합니다.',
  ),
  GATE_UNKNOWN: row('그런 게이트가 없거나 그 용도가 아닙니다', '설정의 checks.gates에서 이름, 구역, 용도를 보세요.'),
  CHECKS_OFF: row(
    '이 게이트웨이는 차량을 확인하지 않습니다',
    'checks.cityDid에 도시의 DID를, 그리고 checks.gates를 설정하세요.',
  ),
  CHECKS_BUSY: row(
    '한도만큼의 차량을 확인하거나 기다리는 중입니다',
    '잠시 뒤에 다시 물으세요. 계속되면 지적된 한도를 올리세요.',
  ),
  CHECK_TIMEOUT: row(
    '제시간에 응답한 차량이 없어 결정이 없습니다',
    '아니오로 다루세요. 게이트에 차량이 있을 때 다시 물으세요.',
  ),
  FAKE_GATEWAY: row(
    '도시의 게이트웨이가 아니어서 차량이 아무것도 말하지 않습니다',
    '맞다면 도시 번들의 자격 증명을 갱신하고, 이름과 구역과 시계를 비교하세요.',
  ),
  PROFILE_UNKNOWN: row(
    '그런 프로필이 없습니다',
    'GET /profiles나 sejong-edge profiles list를 보세요. 자기 것은 profiles.folder에 있습니다.',
  ),
  // --- the chain
  CHAIN_AWAY: row(
    '체인이 응답하지 않습니다',
    '읽은 값은 그대로 받습니다. 체인이 돌아오면 가장 새로운 체크포인트를 앵커합니다.',
  ),
  CHAIN_REFUSED: row(
    '체인이 트랜잭션을 거절했습니다',
    '적힌 이유를 읽으세요. 보내는 계정에 잔액을 넣거나 이 로그에 등록하세요.',
  ),
  REGISTRY_FULL: row(
    '체인의 등록부에 한도보다 많은 이벤트가 있습니다',
    '장치는 지금 있는 표로 판단합니다. 누가 그렇게 많이 등록하는지 보거나 chain.maxRegistryEvents를 올리세요.',
  ),
  CREDITS_FULL: row(
    '체인의 크레딧과 거래에 한도보다 많은 이벤트가 있습니다',
    '인증서가 어떻게 되었는지는 지금 있는 표로 말합니다. chain.maxCreditEvents를 올리거나, 앞에 우리 것이 없으면 chain.creditsFromBlock을 더 뒤로 잡으세요.',
  ),
  LOG_BEHIND_CHAIN: row(
    '로그가 체인에 있는 것보다 뒤처졌거나 다릅니다',
    '이 이름으로는 더 서명하지 않고, 새 에폭의 로그가 값을 받습니다. 옛 로그로 이어 가려면 멈추고, 데이터 폴더의 가장 새로운 사본을 되돌린 뒤(이것은 보관), 시작하세요.',
  ),
  SERIAL_AWAY: row(
    '시리얼 포트를 쓸 수 없습니다',
    '케이블, 경로, 그룹(dialout)을 확인하세요. 게이트웨이는 계속 시도합니다.',
  ),
  SERIAL_VALUE: row(
    '시리얼 장치가 쓸 수 있는 값을 주지 않았습니다',
    '이번 조회는 기록되지 않았습니다. 계속되면 배선, 주소, 모델을 확인하세요.',
  ),
  LOG_UNREADABLE: row(
    '로그가 서명한 것을 내주지 않습니다',
    '다시 해 보세요. 계속되면 체크포인트를 보관하세요: 로그는 그 타일을 모두에게 내줄 의무가 있습니다.',
  ),
  FRAUD_INVALID: row(
    '이 파일은 부정을 증명하지 않습니다',
    '부정의 증명은 sejong-edge fraud --out이 쓴 파일입니다. 그 로그의 키로 읽으세요.',
  ),
  AUDIT_INVALID: row(
    '행위에 대해 말하는 것이 로그에 있는 것과 다릅니다',
    '둘 다 보관하세요: 항목은 그때 서명되었고, 소금과 내용은 로그 옆에 있어 바뀔 수 있습니다.',
  ),
  RECEIPT_INVALID: row(
    '영수증이 그 항목을 증명하지 않습니다',
    '게이트웨이에서 영수증을 다시 받으세요. 또 실패하면 둘 다 보관하세요: 하나는 증거입니다.',
  ),
  // --- certificates and credits
  CREDITS_OFF: row(
    '이 게이트웨이는 인증서를 만들지 않습니다',
    'Credits 컨트랙트가 있는 체인을 주세요: chain.credits 또는 내장 체인.',
  ),
  CREDIT_NOT_MINTED: row(
    '이 인증서의 크레딧이 체인에 없습니다',
    '상태와 코드를 보세요. 준비되었거나 보낸 것은 다음 묶음과 함께 발행됩니다.',
  ),
  CREDIT_NOT_HELD: row(
    '크레딧이 게이트웨이의 계정에 없습니다',
    '가진 쪽이 사용해야 합니다: 크레딧은 가진 쪽만 소각할 수 있습니다.',
  ),
  CREDIT_NOT_ENOUGH: row('이 인증서에 남은 것이 그보다 적습니다', '남은 만큼만 사용하세요.'),
  EVIDENCE_INCOMPLETE: row(
    '이 보고서에는 읽은 값이 모자랍니다',
    '양 끝에서 15분 안에, 같은 계량기가, 앵커된 항목으로 읽은 기간을 고르세요.',
  ),
  CREDIT_NOT_WITHDRAWN: row('철회 뒤에 기다리는 인증서가 아닙니다', '먼저 그 날을 철회하고 다음 버전의 번호를 주세요.'),
  CREDIT_OTHER_READINGS: row(
    '체인이 그 시간을 다른 값으로 인증했습니다',
    '체인에 있는 것이 효력이 있습니다. 발행한 쪽이 그 증명을 가지고 있습니다.',
  ),
  CREDIT_INVALID: row(
    '인증서가 성립하지 않습니다',
    '파일을 게이트웨이에서 다시 받으세요. 또 실패하면 둘 다 보관하세요: 하나는 증거입니다.',
  ),
  CREDIT_REFUSED: row(
    '크레딧 컨트랙트가 이것을 받지 않습니다',
    '자세한 말은 컨트랙트 자신의 것입니다(contracts/src/ICredits.sol에 뜻이 있습니다).',
  ),
  CREDITS_BUSY: row(
    '앞의 트랜잭션이 아직 끝나지 않았습니다',
    '체인이 다시 트랜잭션을 받을 때 해 보세요. 무엇이 문제인지는 /health에 있습니다.',
  ),
  CREDIT_REGISTER_FELL: row(
    '레지스터가 내려갔고, 한 바퀴 돈 것으로도 설명되지 않습니다',
    '어디서 새로 시작하는지 등록하거나(registerModulusWh), 계량기를 바꿨다고 말하세요: POST /devices/{did}/replace.',
  ),
  CREDIT_OVER_CAPACITY: row(
    '정격 출력이 그 시간에 낼 수 있는 것에 5 %를 더한 것보다 많습니다',
    '등록된 용량(capacityW)을 발전소와 비교하세요. 늘린 발전소는 새로 등록합니다.',
  ),
  CREDIT_CAPACITY_UNKNOWN: row(
    '발전소가 얼마나 낼 수 있는지 아무도 말하지 않았습니다',
    '계량기를 capacityW와 함께 등록하세요: 상한 없이는 인증서를 만들지 않습니다.',
  ),
  CREDIT_CUSTODY: row(
    '게이트웨이가 이 계량기의 키를 가지고 있어 인증서를 만들지 않습니다',
    '스스로 서명하는 계량기를 쓰세요: 게이트웨이만 보증하는 에너지는 인증하지 않습니다.',
  ),
  CREDIT_METER_REVOKED: row(
    '계량기가 폐기되어 그것이 서명한 것은 인증하지 않습니다',
    '그때까지 잰 것이 유효해야 하면 폐기하기 전에 계량기를 교체하세요.',
  ),
  CREDIT_EPOCH_UNKNOWN: row(
    '계량점에 이미 다른 계량기가 있고, 이것이 이어받았다고 아무도 말하지 않았습니다',
    '마지막 값과 첫 값과 함께 말하세요: POST /devices/{did}/replace.',
  ),
  CREDIT_SWAP_UNREAD: row(
    '두 계량기가 이 시간을 나누고 교체 때의 값을 읽지 않아 에너지를 알 수 없습니다',
    '할 수 있는 것이 없습니다: 그 에너지는 잃었습니다. 교체할 때 두 값을 읽으세요.',
  ),
  CREDIT_SWAP_CONTRADICTED: row(
    '교체 때 적은 값이 계량기가 서명한 것과 모순됩니다',
    '지적된 두 값과 비교하세요. 인증은 서명된 값에만 기댑니다.',
  ),
  CREDIT_TIME: row(
    '받았을 때 아직 오지 않은 시각의 값이라고 합니다',
    '계량기의 시계를 맞추세요. 틀린 시각으로 잰 것은 더는 인증되지 않습니다.',
  ),
  CREDIT_REC_UNKNOWN: row(
    '가중치 표에 이 발전소의 것이 없습니다',
    '표(edge/credits/rec/weights.yaml)에 있는 종류를 쓰거나, 법적 근거와 함께 더하세요.',
  ),
  CREDIT_NO_GRADE: row(
    '이 게이트웨이는 ZEB 등급을 말하지 않습니다',
    '등급 없이 증빙을 요청하세요. 등급은 인증 기관이 계량기 말고도 더 보고 매깁니다.',
  ),
  BUNDLE_INVALID: row(
    '번들이 온전하지 않습니다',
    '다시 내보내거나 사본을 청하세요. 그 안의 항목은 영수증으로 하나씩 검증할 수 있습니다.',
  ),
};

/** Codes that the API can answer have Korean words: the test asks for it. */
export const hasKorean = (code: string): boolean => Object.hasOwn(KO, code);

/** What a code means and what to do, in that language; undefined for what is no code of the table. */
export function errorWords(code: string, lang: Lang): ErrorWords | undefined {
  const known = Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : undefined;
  if (lang === 'ko' && Object.hasOwn(KO, code)) return KO[code as ErrorCode];
  if (code === 'GATEWAY_AWAY')
    return row(
      'The gateway does not answer',
      'Check the network and its power. The page goes on by itself once it is back.',
    );
  return known && { title: known.title, todo: known.todo };
}
