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
  candidates: z
    .array(z.object({ finishReason: z.string().optional().catch(undefined) }))
    .optional()
    .catch(undefined),
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

const USAGE = /"usage(?:Metadata)?"\s*:\s*\{/;

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
  #isFinal = false;
  #model: string | undefined;
  #documents = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** undefined where nothing was told. */
  get usage(): Usage | undefined {
    return this.#hasAny ? this.#usage : undefined;
  }

  /** What was told is all: whatever comes after it adds nothing. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  get model(): string | undefined {
    return this.#usage.model ?? this.#model;
  }

  /** One JSON document: a body, or the data of one event. Anything else is passed over. */
  read(text: string): void {
    this.#documents += 1;
    // Most events are pieces of text, and not worth parsing; the first one names the model.
    if (this.#documents > 1 && !USAGE.test(text)) return;
    const value = parsed(text);
    for (const document of Array.isArray(value) ? value : [value]) {
      this.#model ??= modelOf(document);
      const found = this.#read(document);
      if (found !== undefined) {
        this.#hasAny = true;
        this.#usage = found;
        this.#isFinal ||= isLast(this.#dialect, document);
      }
    }
  }

  /** The same for a message that tells the whole cost of one answer, where a connection carries several. */
  readOne(text: string): Usage | undefined {
    if (!USAGE.test(text)) return undefined;
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

const Named = z.object({
  model,
  modelVersion: model,
  message: z.object({ model }).optional().catch(undefined),
  response: z.object({ model }).optional().catch(undefined),
});

function modelOf(document: unknown): string | undefined {
  const { data } = Named.safeParse(document);
  return data?.model ?? data?.modelVersion ?? data?.message?.model ?? data?.response?.model;
}

/** Whether the usage in a document is that of the whole answer. */
function isLast(dialect: Dialect, document: unknown): boolean {
  switch (dialect) {
    case 'anthropic':
      // The first event of a stream tells within "message" what was read.
      return Anthropic.safeParse(document).data?.usage !== undefined;
    case 'openai':
      return true;
    case 'google':
      return (
        Google.safeParse(document).data?.candidates?.some(({ finishReason }) => finishReason !== undefined) ??
        true
      );
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
