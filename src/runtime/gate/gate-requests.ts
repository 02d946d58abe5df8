import { createHash, timingSafeEqual } from 'node:crypto';

/** What one HTTP request asks of the gate, or the refusal it gets. Pure. */
export type GateDecision =
  | { readonly kind: 'serve'; readonly service: GitService; readonly isAdvertisement: boolean }
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly text: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

export type GitService = 'git-upload-pack' | 'git-receive-pack';

export interface RequestHead {
  readonly method: string;
  /** As it came over the wire. Never decoded: an encoded path is another path, and unknown. */
  readonly url: string;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

const refuse = (
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): GateDecision => ({
  kind: 'refuse',
  status,
  text: `${text}\n`,
  headers,
});

/**
 * Who asks comes before what is asked: without the task's token one learns nothing about what is here.
 * Anything not exactly a smart-HTTP request for the task's own project is refused (gitprotocol-http(5)).
 */
export function decideRequest(
  head: RequestHead,
  task: { readonly project: string; readonly tokenHash: Uint8Array; readonly isReadOnly: boolean },
): GateDecision {
  const presented = credentials(head.authorization);
  const isAllowed = carriesToken(presented ?? { user: '', password: '' }, task.tokenHash);
  if (presented === undefined) {
    return refuse(
      401,
      'The gate needs this task\'s token: use the URL of the remote "origin" as it was set up.',
      {
        'WWW-Authenticate': 'Basic realm="terok gate", charset="UTF-8"',
      },
    );
  }
  if (!isAllowed) {
    return refuse(
      403,
      'This is not the token of this task. Use the remote "origin" as it was set up; other tokens do not work here.',
    );
  }
  const mark = head.url.indexOf('?');
  const path = mark < 0 ? head.url : head.url.slice(0, mark);
  const query = mark < 0 ? undefined : head.url.slice(mark + 1);
  const root = `/${task.project}.git/`;
  if (!path.startsWith(root))
    return refuse(404, `Nothing is here. The only repository of this gate is ${root.slice(0, -1)}`);
  const rest = path.slice(root.length);
  // Its advertisement too, for that is where git asks first and shows what it is told.
  if (task.isReadOnly && (rest === 'git-receive-pack' || query === 'service=git-receive-pack')) {
    return refuse(
      403,
      'This task was started without a gate: it can clone and fetch, and push nothing. Leave the work in /workspace.',
    );
  }
  if (rest === 'info/refs') return decideAdvertisement(head, query);
  if (rest === 'git-upload-pack' || rest === 'git-receive-pack') return decideCall(head, rest, query);
  return refuse(
    404,
    'Nothing is here. The gate speaks the smart HTTP protocol of git only: use clone, fetch and push.',
  );
}

function decideAdvertisement(head: RequestHead, query: string | undefined): GateDecision {
  if (head.method !== 'GET') return refuse(405, 'Only GET is possible here.', { Allow: 'GET' });
  const service = /^service=(git-upload-pack|git-receive-pack)$/.exec(query ?? '')?.[1];
  if (service === 'git-upload-pack' || service === 'git-receive-pack')
    return { kind: 'serve', service, isAdvertisement: true };
  return refuse(
    400,
    'The gate serves git-upload-pack and git-receive-pack only, over the smart HTTP protocol.',
  );
}

function decideCall(head: RequestHead, service: GitService, query: string | undefined): GateDecision {
  if (head.method !== 'POST') return refuse(405, 'Only POST is possible here.', { Allow: 'POST' });
  if (query !== undefined) return refuse(400, 'No query belongs here.');
  if (head.contentType !== `application/x-${service}-request`)
    return refuse(415, `The content type must be application/x-${service}-request.`);
  if (!/^(?:identity|gzip|x-gzip)?$/.test(head.contentEncoding ?? ''))
    return refuse(415, 'The body may be plain or gzip.');
  return { kind: 'serve', service, isAdvertisement: false };
}

function credentials(
  authorization: string | undefined,
): { readonly user: string; readonly password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0
    ? { user: text, password: '' }
    : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Takes the same time whatever was presented. The token may stand in either place: clients differ. */
function carriesToken(
  presented: { readonly user: string; readonly password: string },
  tokenHash: Uint8Array,
): boolean {
  const matches = [presented.user, presented.password].map((text) => {
    const hash = createHash('sha256').update(text).digest();
    return hash.length === tokenHash.length && timingSafeEqual(hash, tokenHash);
  });
  return matches.includes(true);
}
