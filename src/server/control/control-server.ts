import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { describeStorageFailure, InvalidInputError, RuntimeError } from '../../runtime/core/errors.ts';
import type { Logger } from '../../runtime/core/log.ts';
import { didYouMean } from '../../runtime/core/nearest.ts';
import { cleanLine } from '../../runtime/core/untrusted-text.ts';
import type { Progress } from '../../runtime/engine/contract.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { describeAgents } from '../../tools/agents/agents-view.ts';
import { describeIssues } from '../../tools/define-tool.ts';
import { BoundedLines } from '../bounded-lines.ts';
import { VERSION } from '../version.ts';
import { resolveConfig } from './config-view.ts';
import type { ControlMethod } from './control-method.ts';
import {
  CONTROL_VERSION,
  type ControlFailure,
  ControlRequest,
  type ControlResponse,
  control,
  type Hello,
  MAX_CONTROL_FRAME_BYTES,
} from './control-protocol.ts';
import { buildImages, cleanUpImages, generateBuildFiles, listImages } from './image-requests.ts';
import { registerLogins } from './login-handlers.ts';
import { describeChange, toApprovalRecord, toProjectRecord } from './records.ts';
import { registerSsh } from './ssh-handlers.ts';
import { registerTasks } from './task-handlers.ts';
import { registerVault } from './vault-handlers.ts';

const MAX_PROGRESS_CHARS = 300;

export interface DaemonStatus {
  readonly pid: number;
  readonly startedAt: string;
  readonly clients: number;
  readonly reasonsToStay: string[];
}

type Handler = (params: unknown, signal: AbortSignal, progress: Progress) => Promise<unknown>;

/** Answers the command line. Everything a person may do that a client may not, goes through here. */
export class ControlServer {
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #status: () => DaemonStatus;
  readonly #shutdown: () => void;
  readonly #handlers = new Map<string, Handler>();

  constructor(deps: {
    readonly runtime: Runtime;
    readonly logger: Logger;
    readonly status: () => DaemonStatus;
    readonly shutdown: () => void;
  }) {
    this.#runtime = deps.runtime;
    this.#logger = deps.logger;
    this.#status = deps.status;
    this.#shutdown = deps.shutdown;
    this.#registerDaemon();
    this.#registerApprovals();
    this.#registerProjects();
    this.#registerAgentsAndImages();
    registerTasks((method, handle) => this.#on(method, handle), this.#runtime);
    registerSsh((method, handle) => this.#on(method, handle), this.#runtime);
    registerVault((method, handle) => this.#on(method, handle), this.#runtime);
    registerLogins((method, handle) => this.#on(method, handle), this.#runtime);
  }

  serve(connection: Duplex): void {
    const gone = new AbortController();
    const send = (message: Hello | (ControlResponse & { id: number | null })) => {
      if (!connection.destroyed && !connection.writableEnded)
        connection.write(`${JSON.stringify(message)}\n`);
    };
    const refuse = (error: ControlFailure) => send({ id: -1, error });
    const lines = new BoundedLines({
      maxBytes: MAX_CONTROL_FRAME_BYTES,
      onLine: (line) => {
        const request = ControlRequest.safeParse(parseJson(line));
        if (!request.success) {
          refuse({
            code: 'INVALID_INPUT',
            message: 'A request is one line of JSON: {"id": 1, "method": "...", "params": {...}}',
          });
          return;
        }
        const { id, method, params } = request.data;
        let isAnswered = false;
        const progress: Progress = (line) => {
          // A terminal that does not read gets fewer lines, not a longer queue.
          if (isAnswered || connection.writableNeedDrain) return;
          send({ id, progress: cleanLine(line, MAX_PROGRESS_CHARS) });
        };
        void this.#answer({ method, params }, gone.signal, progress).then((answer) => {
          isAnswered = true;
          send({ id, ...answer });
        });
      },
      onOversized: () =>
        refuse({ code: 'INVALID_INPUT', message: `A request has at most ${MAX_CONTROL_FRAME_BYTES} bytes` }),
    });
    connection.on('data', (chunk: Buffer) => lines.push(chunk));
    connection.on('close', () => gone.abort());
    connection.on('error', () => gone.abort());
    send({ hello: { protocol: CONTROL_VERSION, version: VERSION, pid: this.#status().pid } });
    connection.resume();
  }

  async #answer(
    { method, params }: { readonly method: string; readonly params: unknown },
    signal: AbortSignal,
    progress: Progress,
  ): Promise<{ result: unknown } | { error: ControlFailure }> {
    try {
      const handler = this.#handlers.get(method);
      if (handler === undefined) {
        throw new InvalidInputError(`The daemon knows no method "${cleanLine(method, 60)}"`, {
          hint: didYouMean(
            method,
            [...this.#handlers.keys()],
            'It may be of another release: "terok-mcp daemon stop" lets a new one start.',
          ),
        });
      }
      if (method.startsWith('tasks.')) await this.#runtime.ready;
      return { result: await handler(params ?? {}, signal, progress) };
    } catch (error) {
      return { error: this.#describe(method, error) };
    }
  }

  #describe(method: string, thrown: unknown): ControlFailure {
    const error = describeStorageFailure(thrown) ?? thrown;
    if (error instanceof RuntimeError) {
      const { code, message, hint, details } = error;
      return {
        code,
        message,
        ...(hint === undefined ? {} : { hint }),
        ...(details === undefined ? {} : { details }),
      };
    }
    const correlation = randomBytes(4).toString('hex');
    this.#logger.error(
      { method: cleanLine(method, 60), correlation, err: error },
      'a control request failed unexpectedly',
    );
    return {
      code: 'INTERNAL',
      message: `A defect in terok-mcp (${correlation})`,
      hint: `The daemon's log has the details under ${correlation}.`,
    };
  }

  #on<P extends z.ZodType, R extends z.ZodType>(
    { name, params, result }: ControlMethod<P, R>,
    handle: (
      params: z.output<P>,
      signal: AbortSignal,
      progress: Progress,
    ) => Promise<z.input<R>> | z.input<R>,
  ): void {
    this.#handlers.set(name, async (raw, signal, progress) => {
      const parsed = params.safeParse(raw);
      if (!parsed.success)
        throw new InvalidInputError(`The daemon cannot take that: ${describeIssues(parsed.error)}`, {
          hint: `Correct it and try again (${name}).`,
        });
      return result.parse(await handle(parsed.data, signal, progress));
    });
  }

  #registerDaemon(): void {
    this.#on(control.daemonStatus, () => ({ version: VERSION, ...this.#status() }));
    this.#on(control.doctor, async (_params, signal) => ({
      findings: [...(await this.#runtime.doctor.examine(signal))],
    }));
    this.#on(control.shutdown, () => {
      // The answer goes out before the connection does.
      setImmediate(() => setImmediate(() => this.#shutdown()));
      return {};
    });
  }

  #registerApprovals(): void {
    const { approvals } = this.#runtime;
    this.#on(control.approvalsList, (options) => ({
      approvals: approvals.list(options).map(toApprovalRecord),
    }));
    this.#on(control.approvalsShow, async ({ id }, signal) => {
      const approval = approvals.get(id);
      return {
        approval: toApprovalRecord(approval),
        change: await describeChange(this.#runtime, approval, signal),
      };
    });
    // Once said, it is done: a person who closes the terminal has still approved.
    this.#on(control.approvalsApprove, async ({ id, by }) =>
      toApprovalRecord(await approvals.approve(id, by)),
    );
    this.#on(control.approvalsDeny, ({ id, by }) => toApprovalRecord(approvals.deny(id, by)));
  }

  #registerProjects(): void {
    const { projects } = this.#runtime;
    this.#on(control.projectsCreate, async (input) => toProjectRecord(await projects.create(input)));
    this.#on(control.projectsList, async () => {
      const { projects: valid, broken } = await projects.list();
      return { projects: valid.map(toProjectRecord), broken: [...broken] };
    });
    this.#on(control.configResolved, async (question) => await resolveConfig(this.#runtime, question));
  }

  #registerAgentsAndImages(): void {
    const runtime = this.#runtime;
    this.#on(control.agentsList, async (whose, signal) => await describeAgents(runtime, whose, signal));
    this.#on(control.imagesBuild, async (build, signal, progress) =>
      buildImages(runtime, build, { signal, progress }),
    );
    this.#on(control.imagesGenerate, async (where) => await generateBuildFiles(runtime, where));
    this.#on(control.imagesList, async (_params, signal) => await listImages(runtime, signal));
    this.#on(control.imagesCleanup, async (how, signal) => await cleanUpImages(runtime, how, signal));
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
