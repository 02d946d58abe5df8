import type { Agents } from '../agents/contract.ts';
import type { Logger } from '../core/log.ts';
import {
  EMPTY_SUMMARY,
  type TaskLog,
  type TranscriptFormat,
  type Transcripts,
} from '../transcript/contract.ts';
import type { Task } from './contract.ts';
import type { RunEvidence } from './outcome.ts';
import { loadSessionFile } from './session-file-loader.ts';
import { hasEnded, hasRuns } from './state.ts';
import type { TaskFilesStore } from './task-files-store.ts';
import { findReadyMarker } from './task-log-loader.ts';

export interface RunEvidenceDeps {
  readonly agents: Agents;
  readonly transcripts: Transcripts;
  readonly files: TaskFilesStore;
  readonly logger: Logger;
}

/** A terminal, a tool or an agent that nobody knows any more tells no events. */
const PLAIN: TranscriptFormat = { format: 'text', sessionNotFound: undefined };

/** What a task's log and its agent's own files say of what it did. */
export class RunEvidences {
  readonly #deps: RunEvidenceDeps;

  constructor(deps: RunEvidenceDeps) {
    this.#deps = deps;
  }

  async logOf(task: Task): Promise<TaskLog> {
    return {
      file: this.#deps.files.pathsOf(task).log,
      hasEnded: hasEnded(task),
      ...(await this.formatOf(task)),
    };
  }

  async formatOf(task: Task): Promise<TranscriptFormat> {
    const agent = await this.#agentOf(task);
    if (agent === undefined) return PLAIN;
    const { session, events } = agent;
    return {
      format: events.format,
      sessionNotFound: session.id === 'none' ? undefined : session.not_found,
    };
  }

  /**
   * All that a run came to, once its container has ended; undefined in modes that have none. A log that cannot be
   * read says nothing, which counts against the agents that always say something.
   */
  async of(task: Task, logOffset: number): Promise<RunEvidence | undefined> {
    if (!hasRuns(task)) return undefined;
    const log = { ...(await this.logOf(task)), hasEnded: true };
    const summary = await this.#deps.transcripts.summarize(log, logOffset).catch((error: unknown) => {
      this.#deps.logger.warn({ task: task.id, error: String(error) }, 'a log could not be read');
      return EMPTY_SUMMARY;
    });
    const session = summary.session ?? (await this.#sessionInFile(task));
    return { summary: session === undefined ? summary : { ...summary, session }, format: log.format };
  }

  /** Whether the workspace of its present start was ever ready: the daemon may not have lived to see it. */
  async wasReady(task: Task, logOffset: number): Promise<boolean> {
    const { log } = this.#deps.files.pathsOf(task);
    for (let offset = logOffset; ; ) {
      const seen = await findReadyMarker(log, offset);
      if (seen.isReady) return true;
      if (seen.offset === offset) return false;
      offset = seen.offset;
    }
  }

  async #sessionInFile(task: Task): Promise<string | undefined> {
    const agent = await this.#agentOf(task);
    if (agent?.session.id !== 'file') return undefined;
    return await loadSessionFile(this.#deps.files.pathsOf(task).agentHome, agent.session);
  }

  async #agentOf(task: Task) {
    if (task.mode !== 'headless') return undefined;
    return await this.#deps.agents.agent(task.agent).catch(() => undefined);
  }
}
