import { EnvHttpProxyAgent, request } from 'undici';
import { sealOutcome } from './outcome-seal.ts';
import { RenewalInbox } from './renewal-inbox-store.ts';
import { readOrder } from './renewal-order.ts';
import type { EndpointWord } from './token-answer.ts';
import type { TokenRequest } from './token-endpoint.ts';

const ANSWER_MS = 60_000;
const MAX_ANSWER_BYTES = 256 * 1024;

/**
 * All that a process does which renews one token: claims the renewal, sends it once, and leaves what came of it sealed.
 * Sends nothing where the order is incomplete, where somebody else has claimed it, or where the disk has no room for the
 * answer. Certificates of NODE_EXTRA_CA_CERTS are Node's own business.
 */
export async function carryOutRenewal(
  text: string,
  self: { readonly pid: number; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<void> {
  const order = readOrder(text);
  if (order === undefined) return;
  const inbox = new RenewalInbox({ directory: order.inbox });
  if (!(await inbox.claimFor(order.id, self.pid))) return;
  await inbox.reserve(order.id);
  const word = await ask(order, self.env);
  await inbox.leave(order.id, sealOutcome(JSON.stringify(word), order.key, order.id));
}

async function ask(
  { url, contentType, body }: TokenRequest,
  env: Readonly<Record<string, string | undefined>>,
): Promise<EndpointWord> {
  const dispatcher = new EnvHttpProxyAgent({
    httpProxy: env['http_proxy'] ?? env['HTTP_PROXY'] ?? '',
    httpsProxy: env['https_proxy'] ?? env['HTTPS_PROXY'] ?? '',
    noProxy: env['no_proxy'] ?? env['NO_PROXY'] ?? '',
  });
  try {
    const answer = await request(url, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': contentType, accept: 'application/json' },
      body,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.body) {
      const bytes = Buffer.from(chunk);
      length += bytes.length;
      if (length > MAX_ANSWER_BYTES) return { unreachable: 'the token endpoint answered without end' };
      chunks.push(bytes);
    }
    return {
      status: answer.statusCode,
      body: Buffer.concat(chunks).toString('utf8'),
      at: new Date().toISOString(),
    };
  } catch (error) {
    // The code alone: messages of HTTP clients may quote what was sent.
    return { unreachable: `the token endpoint could not be reached (${codeOf(error)})` };
  } finally {
    await dispatcher.destroy();
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : error instanceof Error
      ? error.name
      : 'unknown';
