import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { NotFoundError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { AgentFile, AgentProblem, Agents } from './contract.ts';
import { type AgentSource, type Roster, readRoster } from './roster.ts';

/** The roster as the files are now: they are few and small, and an edit counts at once. */
export class AgentLoader implements Agents {
  readonly #bundled: string;
  readonly #own: string;

  /** @param deps.bundled `resources/agents`; `deps.own` the person's own directory, which may be absent. */
  constructor(deps: { readonly bundled: string; readonly own: string }) {
    this.#bundled = deps.bundled;
    this.#own = deps.own;
  }

  async list(): Promise<{
    readonly agents: readonly AgentFile[];
    readonly broken: readonly AgentProblem[];
  }> {
    const { agents, broken } = await this.#read();
    return {
      agents: [...agents.values()],
      broken: [...broken].map(([name, { message }]) => ({ name: cleanLine(name, 64), problem: message })),
    };
  }

  async get(name: string): Promise<AgentFile> {
    const { agents, broken } = await this.#read();
    const problem = broken.get(name);
    // Never the bundled one in its place: the person meant another.
    if (problem !== undefined) throw problem;
    const agent = agents.get(name);
    if (agent !== undefined) return agent;
    const known = [...agents.keys()];
    const near = nearestNames(name, known);
    throw new NotFoundError(`There is no agent named "${cleanLine(name, 64)}"`, {
      hint: near.length > 0 ? `Did you mean ${near.join(' or ')}?` : `Known agents: ${known.join(', ')}.`,
    });
  }

  async #read(): Promise<Roster> {
    const [bundled, own] = await Promise.all([loadSources(this.#bundled), loadSources(this.#own)]);
    return readRoster({ bundled, own });
  }
}

async function loadSources(directory: string): Promise<readonly AgentSource[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith('.yaml')).sort();
  return await Promise.all(
    files.map(async (name) => {
      const file = path.join(directory, name);
      try {
        // Reading a named pipe would wait for somebody to write to it.
        if (!(await stat(file)).isFile()) return { file, unreadable: 'is not a regular file' };
        return { file, text: await readFile(file, 'utf8') };
      } catch (error) {
        const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
        return { file, unreadable: `cannot be read (${reason})` };
      }
    }),
  );
}
