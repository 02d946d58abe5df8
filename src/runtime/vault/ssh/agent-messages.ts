import { WireReader, wire } from './wire.ts';

/** Numbers of draft-ietf-sshm-ssh-agent, section 6.1. */
const FAILURE = 5;
const SUCCESS = 6;
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const EXTENSION = 27;

/** Flags of a sign request: which hash an RSA key signs with. */
export const RSA_SHA2_256 = 2;
export const RSA_SHA2_512 = 4;

const SESSION_BIND = 'session-bind@openssh.com';
const MAX_NAME_BYTES = 256;

/** OpenSSH PROTOCOL.agent, section 1: this connection serves that session, as its host's key says. */
export interface SessionBind {
  readonly hostKey: Buffer;
  readonly sessionId: Buffer;
  readonly signature: Buffer;
  readonly isForwarding: boolean;
}

export type AgentRequest =
  | { readonly kind: 'list' }
  | { readonly kind: 'sign'; readonly keyBlob: Buffer; readonly data: Buffer; readonly flags: number }
  | ({ readonly kind: 'bind' } & SessionBind)
  /** Anything else; only its number is looked at. */
  | { readonly kind: 'other'; readonly type: number };

export interface AgentIdentity {
  readonly blob: Uint8Array;
  readonly comment: string;
}

/** One message without its length. Throws WireError for what breaks its own format, unused bytes at its end among it. */
export function parseRequest(message: Uint8Array): AgentRequest {
  const reader = new WireReader(message);
  const type = reader.byte();
  switch (type) {
    case REQUEST_IDENTITIES:
      reader.end();
      return { kind: 'list' };
    case SIGN_REQUEST: {
      const request = {
        kind: 'sign' as const,
        keyBlob: reader.string(),
        data: reader.string(),
        flags: reader.uint32(),
      };
      reader.end();
      return request;
    }
    case EXTENSION: {
      if (reader.text(MAX_NAME_BYTES) !== SESSION_BIND) return { kind: 'other', type };
      const request = {
        kind: 'bind' as const,
        hostKey: reader.string(),
        sessionId: reader.string(),
        signature: reader.string(),
        isForwarding: reader.boolean(),
      };
      reader.end();
      return request;
    }
    default:
      return { kind: 'other', type };
  }
}

/** The other direction, for those who ask agents. */
export function renderRequest(request: AgentRequest): Buffer {
  switch (request.kind) {
    case 'list':
      return wire.byte(REQUEST_IDENTITIES);
    case 'sign':
      return Buffer.concat([
        wire.byte(SIGN_REQUEST),
        wire.string(request.keyBlob),
        wire.string(request.data),
        wire.uint32(request.flags),
      ]);
    case 'bind':
      return Buffer.concat([
        wire.byte(EXTENSION),
        wire.string(SESSION_BIND),
        wire.string(request.hostKey),
        wire.string(request.sessionId),
        wire.string(request.signature),
        wire.boolean(request.isForwarding),
      ]);
    case 'other':
      return wire.byte(request.type);
  }
}

export const failure = (): Buffer => wire.byte(FAILURE);
export const success = (): Buffer => wire.byte(SUCCESS);

export const identitiesAnswer = (identities: readonly AgentIdentity[]): Buffer =>
  Buffer.concat([
    wire.byte(IDENTITIES_ANSWER),
    wire.uint32(identities.length),
    ...identities.flatMap(({ blob, comment }) => [wire.string(blob), wire.string(comment)]),
  ]);

/** `signature` as RFC 4253 section 6.6 renders it: the algorithm's name, then its bytes. */
export const signResponse = (signature: Uint8Array): Buffer =>
  Buffer.concat([wire.byte(SIGN_RESPONSE), wire.string(signature)]);
