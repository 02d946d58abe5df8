import type { Usage } from '../parts.ts';

const BYTES_PER_TOKEN = 4;
/** Of thinking that is not shown: what models of today write at least. */
const TOKENS_PER_SECOND = 30;
/** A usual context; pictures in a body are far fewer tokens than their bytes say. */
const MAX_INPUT_TOKENS = 200_000;
/** No answer of today's models is longer. */
const MAX_OUTPUT_TOKENS = 128_000;

/** POST to these starts no answer of a model: tokens are counted, files are kept, something is called off. */
const FREE =
  /[/:](?:count_?tokens|input_tokens|cancel)$|\/(?:files|cachedContents)(?:\/[^:]*)?$|^\/upload\//i;

/** Whether a request lets a model work, so that its answer has to say what that cost. */
export const mayCost = ({ method, path }: { readonly method: string; readonly path: string }): boolean =>
  method === 'POST' && !FREE.test(path);

/** What an answer might have cost whose end was not seen, or that did not say: rather more than less. */
export function estimated(seen: {
  /** What was told so far; undefined: nothing. */
  readonly told: Usage | undefined;
  readonly model: string | undefined;
  readonly sentBytes: number;
  /** Guessed from what came back. */
  readonly answerTokens: number;
  readonly durationMs: number;
}): Usage {
  const { told } = seen;
  const hasInput = told !== undefined && told.inputTokens + told.cacheReadTokens + told.cacheWriteTokens > 0;
  const unseen = (seen.durationMs / 1000) * TOKENS_PER_SECOND;
  return {
    model: told?.model ?? seen.model,
    inputTokens: hasInput
      ? told.inputTokens
      : Math.min(MAX_INPUT_TOKENS, Math.ceil(seen.sentBytes / BYTES_PER_TOKEN)),
    outputTokens: Math.max(
      told?.outputTokens ?? 0,
      Math.min(MAX_OUTPUT_TOKENS, Math.ceil(Math.max(seen.answerTokens, unseen))),
    ),
    cacheReadTokens: told?.cacheReadTokens ?? 0,
    cacheWriteTokens: told?.cacheWriteTokens ?? 0,
  };
}

/** Texts of a model in the JSON of one event, by the names that vendors give them. */
const TEXTS =
  /"(?:text|delta|thinking|partial_json|content|reasoning|reasoning_content|arguments|refusal)"\s*:\s*"((?:[^"\\]|\\.)*)"/g;

/** Tokens that one event of a stream might stand for: no event stands for none. */
export function tokensOfEvent(json: string): number {
  let length = 0;
  for (const [, text = ''] of json.matchAll(TEXTS)) length += text.length;
  return Math.max(1, Math.ceil(length / BYTES_PER_TOKEN));
}

export const tokensOfBytes = (bytes: number): number => Math.ceil(bytes / BYTES_PER_TOKEN);
