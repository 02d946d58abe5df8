import { z } from 'zod';
import type { CredentialRoute } from '../../agents/contract.ts';
import type { Usage } from '../parts.ts';

type Dialect = NonNullable<CredentialRoute['usage']>;

const count = z.int().nonnegative().max(1e12).catch(0);
const model = z.string().max(200).optional().catch(undefined);

const AnthropicUsage = z.object({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
});
const Anthropic = z.object({
  model,
  usage: AnthropicUsage.optional().catch(undefined),
  message: z
    .object({ model, usage: AnthropicUsage.optional().catch(undefined) })
    .optional()
    .catch(undefined),
});

const OpenaiUsage = z.object({
  input_tokens: count,
  output_tokens: count,
  prompt_tokens: count,
  completion_tokens: count,
  input_tokens_details: z.object({ cached_tokens: count }).optional().catch(undefined),
  prompt_tokens_details: z.object({ cached_tokens: count }).optional().catch(undefined),
});
const Openai = z.object({
  model,
  usage: OpenaiUsage.optional().catch(undefined),
  response: z
    .object({
      id: z.string().optional().catch(undefined),
      model,
      usage: OpenaiUsage.optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});

const Google = z.object({
  modelVersion: model,
  usageMetadata: z
    .object({
      promptTokenCount: count,
      candidatesTokenCount: count,
      thoughtsTokenCount: count,
      toolUsePromptTokenCount: count,
      cachedContentTokenCount: count,
    })
    .optional()
    .catch(undefined),
});

const NONE: Usage = {
  model: undefined,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
};

/**
 * Adds up what the documents of one answer tell of its cost. Input tokens are those that were read anew: what a cache
 * gave or took counts by itself.
 */
export class UsageReader {
  readonly #dialect: Dialect;
  #usage: Usage = NONE;
  #hasAny = false;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** undefined where nothing was told. */
  get usage(): Usage | undefined {
    return this.#hasAny ? this.#usage : undefined;
  }

  /** One JSON document: a body, or the data of one event. Anything else is passed over. */
  read(text: string): void {
    // Most events are pieces of text, and not worth parsing.
    if (!/"usage(?:Metadata)?"\s*:\s*\{/.test(text)) return;
    const value = parsed(text);
    for (const document of Array.isArray(value) ? value : [value]) {
      const found = this.#read(document);
      if (found !== undefined) {
        this.#hasAny = true;
        this.#usage = found;
      }
    }
  }

  /** The same for a message that tells the whole cost of one answer, where a connection carries several. */
  readOne(text: string): Usage | undefined {
    const reader = new UsageReader(this.#dialect);
    reader.read(text);
    return reader.usage;
  }

  #read(document: unknown): Usage | undefined {
    switch (this.#dialect) {
      case 'anthropic':
        return this.#anthropic(document);
      case 'openai':
        return openai(document);
      case 'google':
        return google(document);
    }
  }

  /** The first event of a stream tells of the input, later ones of the output so far: each number only grows. */
  #anthropic(document: unknown): Usage | undefined {
    const { data } = Anthropic.safeParse(document);
    const usage = data?.message?.usage ?? data?.usage;
    if (usage === undefined) return undefined;
    const before = this.#usage;
    return {
      model: data?.message?.model ?? data?.model ?? before.model,
      inputTokens: Math.max(before.inputTokens, usage.input_tokens),
      outputTokens: Math.max(before.outputTokens, usage.output_tokens),
      cacheReadTokens: Math.max(before.cacheReadTokens, usage.cache_read_input_tokens),
      cacheWriteTokens: Math.max(before.cacheWriteTokens, usage.cache_creation_input_tokens),
    };
  }
}

function openai(document: unknown): Usage | undefined {
  const { data } = Openai.safeParse(document);
  const usage = data?.response?.usage ?? data?.usage;
  if (usage === undefined) return undefined;
  const cached = (usage.input_tokens_details ?? usage.prompt_tokens_details)?.cached_tokens ?? 0;
  return {
    model: data?.response?.model ?? data?.model,
    inputTokens: Math.max(0, (usage.input_tokens || usage.prompt_tokens) - cached),
    outputTokens: usage.output_tokens || usage.completion_tokens,
    cacheReadTokens: cached,
    cacheWriteTokens: 0,
  };
}

function google(document: unknown): Usage | undefined {
  const { data } = Google.safeParse(document);
  const usage = data?.usageMetadata;
  if (usage === undefined) return undefined;
  return {
    model: data?.modelVersion,
    inputTokens: Math.max(
      0,
      usage.promptTokenCount + usage.toolUsePromptTokenCount - usage.cachedContentTokenCount,
    ),
    outputTokens: usage.candidatesTokenCount + usage.thoughtsTokenCount,
    cacheReadTokens: usage.cachedContentTokenCount,
    cacheWriteTokens: 0,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
