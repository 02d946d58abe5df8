import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { GitClient } from './git-fixtures.ts';
import { imageBuilder, imageRequest } from './images.ts';
import type { TestClient } from './mcp-client.ts';
import { recordOf } from './scripted-llm/json.ts';
import { ScriptedLlmServer } from './scripted-llm-server.ts';
import { Shipped } from './shipped.ts';
import type { TestAuthority } from './test-authority.ts';

export const HUMAN = { name: 'Ada Lovelace', email: 'ada@example.org' } as const;

/** What a client is told of a task. */
export type Report = Readonly<Record<string, unknown>>;

/** The shipped program, the image with all agents, and a model that does as it is told: nothing else is faked. */
export class AgentLab implements AsyncDisposable {
  readonly shipped: Shipped;
  readonly llm: ScriptedLlmServer;
  readonly client: TestClient;

  private constructor(shipped: Shipped, llm: ScriptedLlmServer, client: TestClient) {
    this.shipped = shipped;
    this.llm = llm;
    this.client = client;
  }

  /**
   * @param vendor With the certificate of a vendor: then agents reach the model through their credential proxy, by the
   * roster's routes, and not by a relay.
   */
  static async make(vendor?: TestAuthority): Promise<AgentLab> {
    await imageBuilder().ensure(imageRequest({ agents: 'all' }), () => undefined);
    const trust: Record<string, string> = vendor === undefined ? {} : { NODE_EXTRA_CA_CERTS: vendor.file };
    const [shipped, llm] = await Promise.all([
      Shipped.make(trust),
      ScriptedLlmServer.start([], 0, { tls: vendor, websockets: vendor !== undefined }),
    ]);
    const settings = [
      `  human_name: ${HUMAN.name}`,
      `  human_email: ${HUMAN.email}`,
      ...(vendor === undefined ? [`relay: { endpoint: ${llm.endpoint} }`] : []),
      'docker: { agents: all }',
      '',
    ];
    const file = path.join(shipped.host.paths.config, 'projects/demo/project.yml');
    await appendFile(file, settings.join('\n'));
    return new AgentLab(shipped, llm, await shipped.connect());
  }

  /** `run_headless`, to the end. */
  async run(agent: string, prompt: string, input: Report = {}): Promise<Report> {
    return await this.#toTheEnd('run_headless', { project: 'demo', agent, prompt, ...input });
  }

  /** Sends an agent's API calls to our model in place of its vendor, and keeps a key for it. */
  async subscribe(agent: string, key: string, more = ''): Promise<void> {
    const directory = path.join(this.shipped.host.paths.config, 'agents');
    await mkdir(directory, { recursive: true });
    const route = `route: { upstream: "https://localhost:${this.llm.port}" }\n`;
    await writeFile(path.join(directory, `${agent}.yaml`), `${route}${more}`);
    await this.shipped.run(['auth', agent, '--api-key'], {}, `${key}\n`);
  }

  /** `follow_up`, to the end. */
  async followUp(task: unknown, prompt: string, input: Report = {}): Promise<Report> {
    return await this.#toTheEnd('follow_up', { task, prompt, ...input });
  }

  async #toTheEnd(tool: string, input: Report): Promise<Report> {
    const started = await this.client.call(tool, input);
    if (started.isError) throw new Error(started.text);
    const { task, warnings } = recordOf(started.object);
    for (;;) {
      const { text, object, isError } = await this.client.call('task_status', { task, wait_s: 45 });
      if (isError) throw new Error(text);
      const report = recordOf(object);
      if (report['state'] === 'completed' || report['state'] === 'failed' || report['state'] === 'stopped')
        return { ...report, warnings };
    }
  }

  async delete(task: unknown): Promise<void> {
    await this.client.call('delete_task', { task });
  }

  /** Everything it printed, as it was. */
  async log(task: unknown): Promise<string> {
    return (await this.client.call('task_logs', { task, tail: 500, raw: true, max_chars: 20_000 })).text;
  }

  /** Destinations that the task's network refused. */
  async refused(task: unknown): Promise<unknown> {
    return recordOf((await this.client.call('shield_status', { task })).object)['refused'];
  }

  /** What agents pushed. */
  get gate(): GitClient {
    return this.shipped.upstream.bare.in(path.join(this.shipped.host.paths.gates, 'demo.git'));
  }

  /** Empties what holds the conversations of a task. */
  async forgetConversations(task: unknown, directories: readonly string[]): Promise<void> {
    const home = path.join(this.shipped.host.paths.tasks, 'demo', String(task), 'agent-home');
    for (const directory of directories.map((name) => path.join(home, name)))
      for (const name of await readdir(directory))
        await rm(path.join(directory, name), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.llm[Symbol.asyncDispose]();
    await this.shipped[Symbol.asyncDispose]();
  }
}
