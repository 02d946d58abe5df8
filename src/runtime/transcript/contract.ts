import { z } from 'zod';

/** What an id of a conversation looks like, so that it can be passed to a program and never be taken for a flag. */
export const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** What an agent's lines are written in; `text` is what no other format understands. */
export const EventFormat = z.enum(['claude', 'codex', 'opencode', 'copilot', 'gemini', 'qwen', 'text']);
export type EventFormat = z.infer<typeof EventFormat>;

/**
 * One thing that happened in a run, whichever agent told it. All text came from a container: it is cleaned and
 * bounded here, and is data for whoever reads it. None of it is proof of anything but what was printed.
 */
export type TaskEvent =
  | { readonly kind: 'session'; readonly id: string; readonly model: string | undefined }
  /** `isPart`: the next part of a message that is told piece by piece. */
  | { readonly kind: 'message'; readonly text: string; readonly isPart?: true }
  /** `input` is one line: the command, the path, or JSON. */
  | { readonly kind: 'tool_call'; readonly id: string; readonly tool: string; readonly input: string }
  | {
      readonly kind: 'tool_result';
      readonly id: string;
      readonly status: 'ok' | 'failed';
      readonly output: string;
    }
  /** A tool that the agent wanted and was not let have. */
  | { readonly kind: 'denied'; readonly tool: string; readonly reason: string }
  /** Of one turn, or (`isTotal`) of the whole run so far, replacing what turns came to. */
  | ({ readonly kind: 'usage'; readonly isTotal: boolean } & Usage)
  /** The agent tries again by itself what failed. */
  | { readonly kind: 'retry'; readonly reason: string }
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string }
  /** The agent's own word on how its run ended. */
  | {
      readonly kind: 'result';
      readonly isSuccess: boolean;
      readonly text: string | undefined;
      readonly turns: number | undefined;
      /** Tools that it was denied in this run, one name a call, at most 20; absent where it does not say. */
      readonly denied?: readonly string[];
    }
  /** A line that is no event of the agent's. */
  | { readonly kind: 'text'; readonly stream: 'stdout' | 'stderr'; readonly text: string };

export const Usage = z.object({
  /** Tokens read, those from a cache included. */
  inputTokens: z.int().min(0),
  cachedInputTokens: z.int().min(0),
  outputTokens: z.int().min(0),
  /** US dollars, as the agent reckons; absent where it does not. */
  costUsd: z.number().min(0).optional(),
});
export type Usage = z.infer<typeof Usage>;

/** An event with when its line was written, in Podman's words (ISO 8601). */
export type TimedEvent = TaskEvent & { readonly at: string };

/** What the events of one run come to so far. Stored with the run, so every part is bounded. */
export const RunSummary = z.object({
  /** Events that the agent told itself, `text` not counted. */
  events: z.int().min(0),
  session: z.string().optional(),
  usage: Usage.optional(),
  turns: z.int().min(0).optional(),
  toolCalls: z.int().min(0),
  /** Names of tools it was not let have, each call once, at most 20. */
  denied: z.array(z.string()),
  deniedCount: z.int().min(0),
  /** Its last message, at most 4000 characters. */
  lastMessage: z.string().optional(),
  /** More of that message may come. */
  isMessagePart: z.boolean().optional(),
  /** Its last error, unless something went well since; at most 4000 characters. */
  lastError: z.string().optional(),
  /** Its own word on how it ended. */
  result: z.enum(['success', 'failure']).optional(),
  /** It said that it does not know the conversation it was to go on with. */
  isSessionUnknown: z.boolean(),
  /** Retries since something last went well, why, and when the first of them was (ISO 8601). */
  retries: z.int().min(0),
  retryReason: z.string().optional(),
  retryingSince: z.string().optional(),
});
export type RunSummary = z.infer<typeof RunSummary>;

/** How to understand a run's lines. */
export interface TranscriptFormat {
  readonly format: EventFormat;
  /** What the agent says of a conversation it does not know; undefined where it never does. */
  readonly sessionNotFound: string | undefined;
}

/** Nothing has happened yet. */
export const EMPTY_SUMMARY: RunSummary = {
  events: 0,
  toolCalls: 0,
  denied: [],
  deniedCount: 0,
  isSessionUnknown: false,
  retries: 0,
};

/** What a task's container prints: Podman's log on the host, which goes on across starts of the container. */
export interface TaskLog extends TranscriptFormat {
  /** Host path. One that is not there yet is an empty log. */
  readonly file: string;
  /** Nothing is appended any more, so an unfinished line at the end is one. */
  readonly hasEnded: boolean;
}

export interface LineRequest {
  /** Byte offset from an earlier answer; without it the last `tail` lines. */
  readonly cursor: number | undefined;
  readonly tail: number;
  readonly maxChars: number;
  /** Keep only lines containing this, literally. */
  readonly contains: string | undefined;
  /** Lines as they were printed, instead of what they mean. */
  readonly raw: boolean;
}

export interface LinePage {
  readonly lines: readonly string[];
  readonly nextCursor: number;
  /** No more can come: the log has ended and was read to its end. */
  readonly isComplete: boolean;
}

/**
 * Reads what agents print. However large and hostile a log is, one call reads and answers a bounded amount. A cursor
 * is a byte offset: 0, an earlier answer's, or the size that the log had before a start of the container; one beyond
 * the end starts over.
 */
export interface Transcripts {
  events(
    log: TaskLog,
    request: { readonly cursor: number; readonly maxEvents: number },
  ): Promise<TranscriptPage>;
  lines(log: TaskLog, request: LineRequest): Promise<LinePage>;
  /** The summary with what happened since (pure). */
  fold(summary: RunSummary, events: readonly TimedEvent[], format: TranscriptFormat): RunSummary;
  /** What the whole log from a cursor on comes to: of one run, when it is where the run's start begins. */
  summarize(log: TaskLog, cursor: number): Promise<RunSummary>;
}

export interface TranscriptPage {
  readonly events: readonly TimedEvent[];
  readonly nextCursor: number;
  /** No more can come: the task has ended and everything was read. */
  readonly isComplete: boolean;
}
