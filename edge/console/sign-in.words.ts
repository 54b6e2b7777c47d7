import { words } from './words.ts';

export default words(
  {
    title: 'Sign in',
    lead: 'The console of one gateway: what it measures, keeps and can prove.',
    label: 'Code or token',
    hint: 'A one-time code, or an access token.',
    button: 'Sign in',
    how: 'How to get one',
    howText: 'On the gateway, this prints a link that signs you in, once:',
    howRole: 'In a clone: npm run edge -- console. Without --role it is a viewer’s, who reads all and changes nothing.',
    signingIn: 'Signing in…',
    expired: 'Your sign-in has come to its end. Sign in again to go on.',
    refused: 'The gateway no longer takes this sign-in: its token was revoked, or the gateway has a new key.',
    codeUsed: 'A code is good once and for ten minutes. Make a new one as below.',
    notToken: 'This is neither a code nor a token',
    notTokenTodo: 'Paste the whole of it, as it was printed.',
    verify: 'Verify a receipt without signing in',
  },
  {
    title: '로그인',
    lead: '게이트웨이 한 대의 콘솔입니다. 측정하고, 보관하고, 증명하는 모든 것을 보여 줍니다.',
    label: '코드 또는 토큰',
    hint: '일회용 코드 또는 접근 토큰을 입력하십시오.',
    button: '로그인',
    how: '코드를 받는 방법',
    howText: '게이트웨이에서 다음 명령을 실행하면 한 번 쓸 수 있는 로그인 링크가 출력됩니다.',
    howRole:
      '저장소에서는 npm run edge -- console을 실행합니다. --role을 생략하면 모두 볼 수 있지만 바꿀 수는 없는 열람자 권한입니다.',
    signingIn: '로그인하는 중…',
    expired: '로그인 시간이 끝났습니다. 계속하려면 다시 로그인하십시오.',
    refused: '게이트웨이가 이 로그인을 더 이상 받지 않습니다. 토큰이 취소되었거나 게이트웨이의 키가 바뀌었습니다.',
    codeUsed: '코드는 10분 안에 한 번만 쓸 수 있습니다. 아래 방법으로 새 코드를 만드십시오.',
    notToken: '코드도 토큰도 아닙니다',
    notTokenTodo: '출력된 내용 전체를 붙여 넣으십시오.',
    verify: '로그인하지 않고 영수증 검증하기',
  },
);
