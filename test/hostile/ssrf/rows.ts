/**
 * What guests try to get past the policy of http, as data. In all of them "{port}"
 * stands for the port of a victim that listens on 127.0.0.1 and on ::1 and that
 * no row may reach. Under "good.test" and below "safe.test" there is a server that
 * the grant allows; "open" is a grant that allows every host at the victim's port.
 */

export interface Row {
  readonly url: string;
  /** Which grant it is tried under; default "narrow". */
  readonly grant?: 'narrow' | 'open';
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How it ends: the run with DENIED, or the request with a failure. */
  readonly ends: 'denied' | 'failed';
  readonly text: RegExp;
}

const open = (url: string, ends: Row['ends'] = 'denied', text = /not public|nobody's own/): Row => ({
  url,
  grant: 'open',
  ends,
  text,
});
const failed = (url: string, text: RegExp): Row => ({ url, ends: 'failed', text });
const unasked = (url: string): Row => ({ url, ends: 'denied', text: /^The manifest does not ask for/ });
const notAllowed = (url: string, more: Partial<Row> = {}): Row => ({
  url,
  ends: 'denied',
  text: /^The policy does not allow/,
  ...more,
});

/** Spellings of addresses, tried where every host is allowed at that port. */
export const addressRows: readonly Row[] = [
  open('http://127.0.0.1:{port}/'),
  open('http://127.0.0.1.:{port}/'),
  open('http://127.1:{port}/'),
  open('http://127.0.1:{port}/'),
  open('http://2130706433:{port}/'),
  open('http://017700000001:{port}/'),
  open('http://0177.0.0.1:{port}/'),
  open('http://0177.0.0.01:{port}/'),
  open('http://00000177.1:{port}/'),
  open('http://0x7f000001:{port}/'),
  open('http://0X7F.0.0.1:{port}/'),
  open('http://0x7f.1:{port}/'),
  open('http://0x7f.0x0.0x0.0x1:{port}/'),
  open('http://%31%32%37.0.0.1:{port}/'),
  open('http://１２７.０.０.１:{port}/'),
  open('http://①②⑦.0.0.1:{port}/'),
  open('http://127。0。0。1:{port}/'),
  open('http://127．0．0．1:{port}/'),
  open('http://127｡0｡0｡1:{port}/'),
  open('http://127.0.0.2:{port}/'),
  open('http://127.255.255.254:{port}/'),
  open('http://0.0.0.0:{port}/'),
  open('http://0:{port}/'),
  open('http://0x0:{port}/'),
  open('http://0.1.2.3:{port}/'),
  open('http://[::1]:{port}/'),
  open('http://[0:0:0:0:0:0:0:1]:{port}/'),
  open('http://[0000:0000::0001]:{port}/'),
  open('http://[::0.0.0.1]:{port}/'),
  open('http://[::]:{port}/'),
  open('http://[::ffff:127.0.0.1]:{port}/'),
  open('http://[::FFFF:7F00:1]:{port}/'),
  open('http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/'),
  open('http://[::ffff:0:127.0.0.1]:{port}/'),
  open('http://[::127.0.0.1]:{port}/'),
  open('http://[64:ff9b::127.0.0.1]:{port}/'),
  open('http://[64:ff9b::7f00:1]:{port}/'),
  open('http://[64:ff9b:1::7f00:1]:{port}/'),
  open('http://[2002:7f00:1::]:{port}/'),
  open('http://[2001:0:0:0:0:0:80ff:fffe]:{port}/'),
  open('http://[fe80::1]:{port}/'),
  open('http://[fc00::1]:{port}/'),
  open('http://[fd00:ec2::254]:{port}/'),
  open('http://[fec0::1]:{port}/'),
  open('http://[ff02::1]:{port}/'),
  open('http://[2001:db8::1]:{port}/'),
  open('http://10.0.0.1:{port}/'),
  open('http://172.16.0.1:{port}/'),
  open('http://192.168.0.1:{port}/'),
  open('http://100.64.0.1:{port}/'),
  open('http://169.254.169.254:{port}/latest/meta-data/'),
  open('http://169.254.43518:{port}/latest/meta-data/'),
  open('http://2852039166:{port}/latest/meta-data/'),
  open('http://0xa9fea9fe:{port}/latest/meta-data/'),
  open('http://[::ffff:169.254.169.254]:{port}/latest/meta-data/'),
  open('http://[64:ff9b::169.254.169.254]:{port}/latest/meta-data/'),
  open('http://100.100.100.200:{port}/latest/meta-data/'),
  open('http://168.63.129.16:{port}/machine'),
  open('http://192.0.2.1:{port}/'),
  open('http://198.18.0.1:{port}/'),
  open('http://198.51.100.1:{port}/'),
  open('http://203.0.113.1:{port}/'),
  open('http://224.0.0.1:{port}/'),
  open('http://240.0.0.1:{port}/'),
  open('http://255.255.255.255:{port}/'),
  open('http://[::1%25lo]:{port}/', 'failed', /not valid/),
  open('http://[::1%lo]:{port}/', 'failed', /not valid/),
  open('http://[fe80::1%25eth0]:{port}/', 'failed', /not valid/),
  open('http://256.0.0.1:{port}/', 'failed', /not valid/),
  open('http://127.0.0.1.0:{port}/', 'failed', /not valid/),
  open('http://127.0.0.0x1g:{port}/'),
  open('http://127..1:{port}/', 'failed', /not valid|no host name/),
  open('http://[127.0.0.1]:{port}/', 'failed', /not valid/),
  open('http://[::ffff:127.1]:{port}/', 'failed', /not valid/),
];

/** Addresses that a name may lead to; the name itself is allowed. */
export const answerRows: readonly (readonly string[])[] = [
  ['127.0.0.1'],
  ['127.0.0.2'],
  ['::1'],
  ['0.0.0.0'],
  ['::'],
  ['10.1.2.3'],
  ['172.31.255.255'],
  ['192.168.1.1'],
  ['100.127.0.1'],
  ['169.254.169.254'],
  ['168.63.129.16'],
  ['fe80::1'],
  ['fe80::1%lo'],
  ['fd00:ec2::254'],
  ['::ffff:127.0.0.1'],
  ['::ffff:7f00:1'],
  ['64:ff9b::7f00:1'],
  ['2002:7f00:1::'],
  ['2001::80ff:fffe'],
  ['224.0.0.1'],
  ['255.255.255.255'],
  ['not an address'],
  ['127.1'],
  // Public ones beside them do not help.
  ['8.8.8.8', '127.0.0.1'],
  ['127.0.0.1', '8.8.8.8'],
  ['8.8.8.8', '2606:4700::1111', '::1'],
];

/** Ways to make a URL name one host and mean another; tried where only good.test and hosts below safe.test are allowed. */
export const hostRows: readonly Row[] = [
  unasked('http://evil.test:{port}/'),
  unasked('http://EVIL.TEST:{port}/'),
  unasked('http://evil.test.:{port}/'),
  unasked('http://127.0.0.1:{port}/'),
  unasked('http://good.test.evil.test:{port}/'),
  unasked('http://evil.test:{port}/good.test'),
  unasked('http://evil.test:{port}?good.test'),
  unasked('http://evil.test:{port}?@good.test'),
  unasked('http://evil.test:{port}#@good.test'),
  unasked('http://evil.test:{port}/@good.test'),
  unasked('http://evil.test:{port}/#good.test'),
  unasked('http://evilgood.test:{port}/'),
  unasked('http://good-test:{port}/'),
  unasked('http://safe.test:{port}/'),
  unasked('http://notsafe.test:{port}/'),
  unasked('http://safe.test.evil.test:{port}/'),
  unasked('http://evil。test:{port}/'),
  unasked('http://ｅｖｉｌ.test:{port}/'),
  unasked('http://%65vil.test:{port}/'),
  unasked('http://gооd.test:{port}/'),
  unasked('http://good.test%2eevil.test:{port}/'),
  unasked('http://localhost:{port}/'),
  failed('http://good.test@evil.test:{port}/', /user name or password/),
  failed('http://good.test:80@evil.test:{port}/', /user name or password/),
  failed('http://good.test%40evil.test:{port}/', /not valid/),
  failed('http://good.test%23@evil.test:{port}/', /user name or password/),
  failed('http://a@good.test@evil.test:{port}/', /user name or password/),
  failed('http://@evil.test:{port}/', /unusual/),
  failed('http://good.test:pw@evil.test:{port}/', /user name or password/),
  failed('http://good.test\\@evil.test:{port}/', /backslash/),
  failed('http://evil.test:{port}\\@good.test/', /backslash/),
  failed('http:\\\\evil.test:{port}\\good.test', /backslash/),
  failed('http:/\\evil.test:{port}/', /backslash/),
  failed('http:evil.test:{port}', /unusual|not valid/),
  failed('http:/evil.test:{port}/', /unusual/),
  failed('http:///evil.test:{port}/', /unusual/),
  failed('//evil.test:{port}/', /not valid/),
  failed('evil.test:{port}', /scheme|not valid/),
  failed(' http://evil.test:{port}/', /unusual/),
  failed('http://ev\til.test:{port}/', /control character/),
  failed('http://ev\nil.test:{port}/', /control character/),
  failed('ht\ntp://evil.test:{port}/', /control character/),
  failed('http://good.test\u0000.evil.test:{port}/', /control character/),
  failed('http://good.test%00.evil.test:{port}/', /not valid/),
  failed('http://good.test%0d%0a.evil.test:{port}/', /not valid/),
  failed('http://good.test /evil.test:{port}/', /not valid/),
  failed('http://good.test%20evil.test:{port}/', /not valid/),
  failed('http://*.evil.test:{port}/', /no host name/),
  failed('http://evil..test:{port}/', /no host name/),
  unasked('http://xn--:{port}/'),
  failed('http://[good.test]:{port}/', /not valid/),
];

/** Schemes, ports and methods. {goodport} is the port that the policy allows of good.test, for GET and POST. */
export const targetRows: readonly Row[] = [
  ...[
    'file:///etc/passwd',
    'file://good.test/etc/passwd',
    'ftp://good.test:{port}/',
    'gopher://good.test:{port}/_GET',
    'ws://good.test:{goodport}/',
    'wss://good.test:{goodport}/',
    'data:text/plain,x',
    'blob:http://good.test:{goodport}/x',
    'javascript:alert(1)',
    'view-source:http://good.test:{goodport}/',
    'http+unix://%2Fvar%2Frun%2Fdocker.sock/info',
    'jar:http://good.test:{goodport}/!/',
    'dict://good.test:{port}/x',
    'ldap://good.test:{port}/x',
    'tftp://good.test:{port}/x',
    'node:fs',
  ].map((url) => failed(url, /has the scheme "/)),
  notAllowed('https://good.test:{goodport}/'),
  notAllowed('http://good.test:{port}/'),
  notAllowed('http://good.test/'),
  notAllowed('http://good.test:/'),
  notAllowed('http://good.test:22/'),
  failed('http://good.test:0/', /port 0/),
  failed('http://good.test:65536/', /not valid/),
  failed('http://good.test:{goodport}{port}/', /not valid/),
  failed('http://good.test:-1/', /not valid/),
  failed('http://good.test:0x50/', /not valid/),
  failed('http://good.test:{goodport}@evil.test:{port}/', /user name or password/),
  failed('http://good.test:80:{port}/', /not valid/),
  notAllowed('http://good.test:{goodport}/', { method: 'DELETE' }),
  notAllowed('http://good.test:{goodport}/', { method: 'HEAD' }),
  notAllowed('http://good.test:{goodport}/', { method: 'post-it' }),
  notAllowed('http://good.test:{goodport}/', { method: 'CONNECTED' }),
  { url: 'http://good.test:{goodport}/', method: 'connect', ends: 'failed', text: /method "CONNECT"/ },
  { url: 'http://good.test:{goodport}/', method: 'TRACE', ends: 'failed', text: /method "TRACE"/ },
  { url: 'http://good.test:{goodport}/', method: 'track', ends: 'failed', text: /method "TRACK"/ },
  { url: 'http://good.test:{goodport}/', method: 'GET ', ends: 'failed', text: /"method"/ },
  { url: 'http://good.test:{goodport}/', method: 'GET /evil HTTP/1.1\r\nx:', ends: 'failed', text: /"method"/ },
  { url: 'http://good.test:{goodport}/', method: '', ends: 'failed', text: /"method"/ },
  { url: 'http://good.test:{goodport}/', method: 'GET\u0000', ends: 'failed', text: /"method"/ },
];

/** Headers by which one request would become two, or another than was judged. */
export const headerRows: readonly Row[] = (
  [
    [{ 'x-a': 'b\r\nhost: evil.test' }, /visible ASCII/],
    [{ 'x-a': 'b\nhost: evil.test' }, /visible ASCII/],
    [{ 'x-a': 'b\r\n\r\nGET / HTTP/1.1' }, /visible ASCII/],
    [{ 'x-a': '\u010d\u010a' }, /visible ASCII/],
    [{ 'x-a': 'b\u0000' }, /visible ASCII/],
    [{ 'x-a\r\nhost': 'evil.test' }, /not a token/],
    [{ 'x-a: b\r\nhost': 'evil.test' }, /not a token/],
    [{ 'host ': 'evil.test' }, /not a token/],
    [{ ' host': 'evil.test' }, /not a token/],
    [{ ':authority': 'evil.test' }, /not a token/],
    [{ host: 'evil.test' }, /"host" belongs to the host/],
    [{ HOST: 'evil.test' }, /"host" belongs to the host/],
    [{ 'Transfer-Encoding': 'chunked' }, /"transfer-encoding" belongs/],
    [{ upgrade: 'websocket' }, /"upgrade" belongs/],
    [{ 'HTTP2-Settings': 'AAMAAABkAAQAAP__' }, /"http2-settings" belongs/],
    [{ te: 'trailers' }, /"te" belongs/],
    [{ trailer: 'x' }, /"trailer" belongs/],
    [{ expect: '100-continue' }, /"expect" belongs/],
    [{ 'proxy-authorization': 'Basic eA==' }, /"proxy-authorization" belongs/],
    [{ 'Proxy-Connection': 'keep-alive' }, /"proxy-connection" belongs/],
  ] as const
).map(([headers, text]) => ({ url: 'http://good.test:{goodport}/', headers, ends: 'failed', text }));

export interface RedirectRow {
  /** What the good server says in Location. */
  readonly location: string;
  readonly ends: Row['ends'];
  readonly text: RegExp;
}

const denies = (location: string, text: RegExp): RedirectRow => ({ location, ends: 'denied', text });

/** Where an allowed server would send a request. */
export const redirectRows: readonly RedirectRow[] = [
  denies(
    'http://evil.test:{port}/',
    /does not ask for http GET to "http:\/\/evil.test:\d+", to which "http:\/\/good.test:\d+" redirects/,
  ),
  denies('//evil.test:{port}/', /^The manifest/),
  denies('http://127.0.0.1:{port}/', /^The manifest/),
  denies('http://2130706433:{port}/', /^The manifest/),
  denies('http://[::1]:{port}/', /^The manifest/),
  denies('http://169.254.169.254/latest/meta-data/', /^The manifest/),
  denies('http://good.test:{port}/', /^The policy/),
  denies('https://good.test:{goodport}/', /^The policy/),
  denies('http://inside.safe.test:{port}/', /not public/),
  denies('http://metadata.safe.test:{port}/', /not public/),
  denies('http://good.test.:{port}/', /^The policy/),
  { location: 'http://good.test:{goodport}/', ends: 'failed', text: /more than the 3 redirects/ },
  { location: '', ends: 'failed', text: /more than the 3 redirects/ },
  { location: '?again', ends: 'failed', text: /more than the 3 redirects/ },
  { location: 'http://good.test@evil.test:{port}/', ends: 'failed', text: /user name or password/ },
  { location: 'http://user:pw@good.test:{goodport}/', ends: 'failed', text: /user name or password/ },
  { location: '/\\evil.test:{port}/', ends: 'failed', text: /backslash/ },
  { location: '\\\\evil.test:{port}/', ends: 'failed', text: /backslash/ },
  { location: '/\t/evil.test:{port}/', ends: 'failed', text: /control character/ },
  { location: 'file:///etc/passwd', ends: 'failed', text: /scheme "file"/ },
  { location: 'gopher://evil.test:{port}/', ends: 'failed', text: /scheme "gopher"/ },
  { location: 'data:text/plain,x', ends: 'failed', text: /scheme "data"/ },
  { location: 'http://[::1%25lo]:{port}/', ends: 'failed', text: /not valid/ },
  { location: 'http://evil.test:0/', ends: 'failed', text: /port 0/ },
  { location: 'http://evil.test:99999/', ends: 'failed', text: /not valid/ },
  { location: 'http://', ends: 'failed', text: /not valid/ },
];
