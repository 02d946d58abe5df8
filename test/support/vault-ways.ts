import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentLab, type Report } from './agent-lab.ts';
import { podmanEngine } from './host.ts';
import { podman } from './images.ts';
import type { Script } from './scripted-llm/script.ts';
import { filesHolding, memoryHolding, processesShowing } from './secret-search.ts';
import { type TestAuthority, testAuthority } from './test-authority.ts';

export interface Way {
  readonly agent: string;
  readonly how: string;
  /** Header in which the vendor wants the key. */
  readonly header: string;
  readonly value: (key: string) => string;
  readonly roster?: string;
}

export const bearer = (key: string): string => `Bearer ${key}`;

/** What a person writes into their own file for Codex to speak over a websocket. */
export const WEBSOCKET = `phantom:
  api_key:
    files:
      - path: /etc/codex/config.toml
        content: |
          model_provider = "terok"

          [model_providers.terok]
          name = "OpenAI"
          base_url = "{base_url}/v1"
          env_key = "CODEX_API_KEY"
          wire_api = "responses"
          supports_websockets = true
`;

/** The model has its last word once somebody has looked around. */
const script = (lookedAround: Promise<unknown>): Script => [
  { run: 'env; cat README.md; cat /run/terok/phantoms/*' },
  { after: lookedAround, next: { text: 'All done.' } },
];

const containerOf = async (task: unknown): Promise<string> =>
  (await podman('ps', '--all', '--format={{.Names}}', `--filter=label=ai.terok.task=${String(task)}`)).trim();

/** V1 and V2 for real programs, each at work in a container with a token in place of the key. */
export const testsOf = (ways: readonly Way[]): void => {
  let authority: TestAuthority;
  let lab: AgentLab;
  beforeAll(async () => {
    authority = await testAuthority();
    lab = await AgentLab.make(authority);
  }, 1_500_000);
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });
  describe.each<Way>(ways)(
    '$agent over $how, through its credential proxy',
    ({ agent, how, header, value, roster }) => {
      const key = `sk-real-${randomBytes(24).toString('hex')}`;
      let running: Promise<Report>;
      let done: Report;
      let release: () => void = () => undefined;
      const lookedAround = new Promise<void>((resolve) => {
        release = resolve;
      });

      it('works, and its vendor gets the real key (V1)', async () => {
        await lab.subscribe(agent, key, roster);
        lab.llm.script = script(lookedAround);
        lab.llm.forget();
        lab.llm.upgrades.length = 0;
        running = lab.run(agent, 'Look at README.md, please.');
        running.catch(() => undefined);
        for (let tries = 0; lab.llm.work.length < 2 && tries < 1200; tries += 1) {
          await Promise.race([delay(100), running]);
        }
        expect(lab.llm.work.length).toBeGreaterThanOrEqual(2);
        for (const { headers } of lab.llm.work) expect(headers[header]).toBe(value(key));
        if (how !== 'HTTP') expect(lab.llm.upgrades.map((headers) => headers[header])).toContain(value(key));
        else expect(lab.llm.upgrades).toEqual([]);
      });

      it('has no process of the machine that shows it while it runs, nor its container in its memory (V2)', async () => {
        expect(await processesShowing(key)).toEqual([]);
        const { object } = await lab.client.call('list_tasks', {});
        const [running] =
          JSON.stringify(object)
            .match(/"(?:task|id)":"([a-z0-9]+)"/)
            ?.slice(1) ?? [];
        const container = await containerOf(running);
        const [state] = JSON.parse(await podman('inspect', container));
        // The search finds what is there: the token that stands for the key.
        const memory = await memoryHolding([key, 'terokp'], state.State.Pid);
        expect(memory.processes).toBeGreaterThan(2);
        expect(memory.found.filter((line) => line.startsWith(key))).toEqual([]);
        expect(memory.found.filter((line) => line.startsWith('terokp'))).not.toEqual([]);
      });

      it('leaves it nowhere: not in its container, its files, what the engine shows, logs, events, databases (V2)', async () => {
        release();
        done = await running;
        expect({
          ...done,
          log: done['state'] === 'completed' ? '' : await lab.log(done['task']),
        }).toMatchObject({
          state: 'completed',
          log: '',
          answer: expect.stringContaining('All done.'),
        });
        const container = await containerOf(done['task']);
        const inspected = await podman('inspect', container);
        expect(inspected).not.toContain(key);
        expect(inspected).not.toContain('terokp');
        const [{ GraphDriver }] = JSON.parse(inspected);
        const { directory, paths } = lab.shipped.host;
        const prefix = await podmanEngine(paths).hostNamespacePrefix();
        expect(await filesHolding(key, [directory, GraphDriver.Data.UpperDir], prefix)).toEqual([]);
        const log = await lab.log(done['task']);
        expect(log).not.toContain(key);
        const token = /[A-Za-z0-9-]*terokp[0-9a-f]{64}/.exec(
          JSON.stringify(lab.llm.work.at(-1)?.conversation),
        )?.[0];
        // What it shows is the token, which is found where it is allowed to be: the search would have found the key.
        expect(token).toBeDefined();
        expect(await filesHolding(token ?? '', [directory])).not.toEqual([]);
      });

      it('tried to reach nothing else', async () => {
        expect(await lab.refused(done['task'])).toEqual([]);
        await lab.delete(done['task']);
      });
    },
  );
};
