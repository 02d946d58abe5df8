import { randomBytes } from 'node:crypto';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { describeStorageFailure, RuntimeError } from '../../runtime/core/errors.ts';
import type { Logger } from '../../runtime/core/log.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Tool, ToolAnswer } from '../../tools/define-tool.ts';
import { untrustedBlock } from '../../tools/untrusted-block.ts';
import { type ProgressNotice, type ProgressPace, ProgressReporter } from './progress-reporter.ts';
import { unknownTool } from './protocol-errors.ts';

export interface ToolCall {
  readonly name: string;
  readonly arguments: unknown;
  readonly signal: AbortSignal;
  /** Absent when the client asked for no progress. */
  readonly reportProgress: ((notice: ProgressNotice) => Promise<void>) | undefined;
}

/** Runs one tool for a client. The only place where what a tool throws becomes an answer. */
export class ToolCaller {
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #progressPace: ProgressPace | undefined;

  constructor(deps: {
    readonly tools: readonly Tool[];
    readonly runtime: Runtime;
    readonly logger: Logger;
    readonly progressPace?: ProgressPace | undefined;
  }) {
    this.#tools = new Map(deps.tools.map((tool) => [tool.name, tool]));
    this.#runtime = deps.runtime;
    this.#logger = deps.logger;
    this.#progressPace = deps.progressPace;
  }

  /** Throws a protocol error for an unknown tool; every other failure is a result with `isError`. */
  async call(call: ToolCall): Promise<CallToolResult> {
    const tool = this.#tools.get(call.name);
    if (tool === undefined) throw unknownTool(call.name, [...this.#tools.keys()]);
    const reporter = this.#reporterOf(call);
    try {
      await this.#runtime.ready;
      return toResult(
        await tool.call(call.arguments, {
          runtime: this.#runtime,
          signal: call.signal,
          progress: (message) => reporter?.say(message),
          isWatched: reporter !== undefined,
        }),
      );
    } catch (error) {
      return this.#toFailure(call, error);
    } finally {
      await reporter?.stop();
    }
  }

  #reporterOf({ name, reportProgress }: ToolCall): ProgressReporter | undefined {
    if (reportProgress === undefined) return undefined;
    return new ProgressReporter({ tool: name, send: reportProgress, pace: this.#progressPace });
  }

  #toFailure(call: ToolCall, thrown: unknown): CallToolResult {
    const error = describeStorageFailure(thrown) ?? thrown;
    if (error instanceof RuntimeError) {
      const lines = [`${error.code}: ${error.message}`];
      if (error.hint !== undefined) lines.push(`Hint: ${error.hint}`);
      if (error.details !== undefined && error.details !== '')
        lines.push(untrustedBlock('details', error.details));
      return failure(lines.join('\n'));
    }
    if (call.signal.aborted) return failure('CANCELLED: the call was cancelled; the task goes on');
    const correlation = randomBytes(4).toString('hex');
    this.#logger.error({ tool: call.name, correlation, err: error }, 'a tool failed unexpectedly');
    return failure(
      `INTERNAL: ${call.name} failed because of a defect in terok-mcp (${correlation})\nHint: The daemon's log has the details under ${correlation}.`,
    );
  }
}

function toResult(answer: ToolAnswer): CallToolResult {
  if ('text' in answer) return { content: [{ type: 'text', text: answer.text }] };
  // Some clients show the model only one of the two channels: each is complete.
  return {
    content: [{ type: 'text', text: JSON.stringify(answer.object) }],
    structuredContent: { ...answer.object },
  };
}

function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true };
}
