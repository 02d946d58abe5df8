import type { TokenRequest } from './token-endpoint.ts';

/** What a process that renews is told, on its standard input. */
export interface RenewalOrder extends TokenRequest {
  readonly inbox: string;
  readonly id: string;
  /** What its outcome is sealed with. */
  readonly key: Uint8Array;
}

export const writeOrder = ({ inbox, id, key, url, contentType, body }: RenewalOrder): string =>
  JSON.stringify([inbox, id, Buffer.from(key).toString('base64'), url, contentType, body]);

/** Undefined for one that was cut off: whoever wrote it is gone. */
export function readOrder(text: string): RenewalOrder | undefined {
  const fields: unknown = parse(text);
  if (!Array.isArray(fields) || !fields.every((field) => typeof field === 'string')) return undefined;
  const [inbox, id, key, url, contentType, body] = fields;
  if (inbox === undefined || id === undefined || key === undefined) return undefined;
  if (url === undefined || contentType === undefined || body === undefined) return undefined;
  return { inbox, id, key: Buffer.from(key, 'base64'), url, contentType, body };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
