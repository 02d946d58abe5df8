import { z } from 'zod';
import { Refusal } from './refusal.ts';

export const MAX_GRAPHQL_BYTES = 1024 * 1024;

const Operation = z.object({
  query: z.string(),
  operationName: z.string().nullish(),
  variables: z.record(z.string(), z.json()).nullish(),
});
const Body = z.union([Operation, z.array(Operation).min(1).max(50)]);

/**
 * The body of a request that only asks, written anew: JSON may say a key twice, and an upstream could take the other
 * one. Throws Refusal for mutations, subscriptions, and whatever is not surely a query.
 */
export function queriesOnly(
  body: Buffer,
  request: { readonly method: string; readonly contentType: string },
): Buffer {
  if (
    request.method !== 'POST' ||
    !/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(request.contentType)
  ) {
    throw new Refusal(403, 'not_allowed', 'GraphQL is asked here by POST of JSON only.');
  }
  const parsed = Body.safeParse(jsonOf(body));
  if (!parsed.success) throw new Refusal(403, 'not_allowed', 'The body is no GraphQL query in JSON.');
  for (const { query } of Array.isArray(parsed.data) ? parsed.data : [parsed.data]) {
    if (!hasQueriesOnly(query)) {
      throw new Refusal(
        403,
        'not_allowed',
        'This credential may only be used for GraphQL queries in a task.',
      );
    }
  }
  return Buffer.from(JSON.stringify(parsed.data));
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Strings, comments, names, brackets; anything else means nothing to the question asked here. */
const TOKEN = /"""(?:\\"""|[\s\S])*?"""|"(?:\\.|[^"\\\n\r])*"|#[^\n\r]*|[_A-Za-z][_0-9A-Za-z]*|[{}()[\]]|"/g;

/** Whether every definition of a document is a query or a fragment (GraphQL specification, section 2). */
export function hasQueriesOnly(document: string): boolean {
  let depth = 0;
  let isHead = true;
  let definitions = 0;
  for (const [token] of document.matchAll(TOKEN)) {
    if (token.startsWith('#')) continue;
    // A lone quote: its end is not found, so nothing after it can be told.
    if (token === '"') return false;
    if (/^[{([]$/.test(token)) {
      if (depth === 0 && token === '{') {
        if (isHead) definitions += 1;
        isHead = false;
      }
      depth += 1;
    } else if (/^[})\]]$/.test(token)) {
      depth -= 1;
      if (depth < 0) return false;
      if (depth === 0 && token === '}') isHead = true;
    } else if (depth === 0 && isHead) {
      if (token !== 'query' && token !== 'fragment') return false;
      definitions += 1;
      isHead = false;
    }
  }
  return depth === 0 && definitions > 0;
}
