import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { podmanBase } from '../src/runtime/engine/podman/podman-commands.ts';
import { DockerSettings } from '../src/runtime/images/contract.ts';
import { type Figure, toFigure } from '../test/support/figure.ts';
import { hostEnvironment } from '../test/support/host.ts';
import { Terok } from '../test/support/runtime-host.ts';
import { ScriptedLlmServer } from '../test/support/scripted-llm-server.ts';

const ROUNDS = 7;
const POLL_MS = 5;

/** One run: milliseconds to its first event, and to its recorded end. */
interface Times {
  readonly firstMs: number;
  readonly endMs: number;
}

interface Contestant {
  readonly agent: string;
  readonly prompt: string;
  /** Program and arguments for a bare container. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * From asking for a headless run to the agent's first event and to its recorded exit code, against the same CLI in
 * a bare `podman run` whose workspace was cloned by `git clone --local`. Medians of interleaved rounds.
 */
export async function run(): Promise<readonly Figure[]> {
  await using terok = await Terok.make();
  await using model = await ScriptedLlmServer.start([{ text: 'Done.' }]);
  const agents = ['scripted', 'claude'];
  const { file } = await terok.runtime.projects.get('demo');
  await writeFile(
    file,
    stringify({
      git: { upstream_url: terok.upstream.url },
      docker: { agents },
      relay: { endpoint: model.endpoint },
    }),
  );
  const { task: image } = await terok.runtime.images.ensure(
    { project: undefined, docker: DockerSettings.parse({ agents }) },
    () => undefined,
  );
  const figures: Figure[] = [];
  for (const contestant of contestants(model.port)) {
    await ours(terok, contestant);
    await byHand(terok, image, contestant);
    const measured: { ours: Times; baseline: Times }[] = [];
    for (let round = 0; round < ROUNDS; round += 1)
      measured.push({
        baseline: await byHand(terok, image, contestant),
        ours: await ours(terok, contestant),
      });
    for (const [what, of] of [
      ['first event', ({ firstMs }: Times) => firstMs],
      ['recorded exit', ({ endMs }: Times) => endMs],
    ] as const)
      figures.push(
        toFigure(`run_headless (${contestant.agent}) to ${what}`, {
          ours: measured.map((round) => of(round.ours)),
          baseline: measured.map((round) => of(round.baseline)),
        }),
      );
  }
  return figures;
}

const contestants = (port: number): readonly Contestant[] => [
  { agent: 'scripted', prompt: 'say hello', command: ['terok-scripted'], environment: {} },
  {
    agent: 'claude',
    prompt: 'Say hello.',
    command: [
      'claude',
      '-p',
      '--output-format',
      'stream-json',
      '--verbose',
      '--dangerously-skip-permissions',
    ],
    environment: {
      ANTHROPIC_BASE_URL: `http://10.0.2.2:${port}`,
      ANTHROPIC_API_KEY: 'none',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    },
  },
];

async function ours(terok: Terok, { agent, prompt }: Contestant): Promise<Times> {
  const { tasks } = terok.runtime;
  const startedAt = performance.now();
  const { id } = await tasks.create({ project: 'demo', agent, prompt });
  const end = terok.ended(id).then((task) => ({ task, atMs: performance.now() }));
  let firstMs: number | undefined;
  while (firstMs === undefined) {
    const { events } = await tasks.transcript({ task: id, maxEvents: 100 });
    if (events.some((event) => !(event.kind === 'text' && event.text.startsWith('>> '))))
      firstMs = performance.now() - startedAt;
    else await delay(POLL_MS);
  }
  const { task, atMs } = await end;
  if (task.state !== 'completed') throw new Error(`the task is ${task.state}: ${task.failure}`);
  await tasks.delete(id);
  return { firstMs, endMs: atMs - startedAt };
}

async function byHand(terok: Terok, image: string, contestant: Contestant): Promise<Times> {
  const { args, env } = podmanBase(terok.host.paths.podman);
  const clone = path.join(terok.ground.directory, 'by-hand');
  const startedAt = performance.now();
  await terok.ground.git.ok('clone', '--quiet', '--local', terok.upstream.url, clone);
  const child = spawn(
    'podman',
    [
      ...args,
      'run',
      '--rm',
      '--interactive',
      '--pull=never',
      '--network=slirp4netns:allow_host_loopback=true',
      `--volume=${clone}:/workspace`,
      ...Object.entries(contestant.environment).map(([name, value]) => `--env=${name}=${value}`),
      image,
      ...contestant.command,
    ],
    { env: { ...hostEnvironment(), ...env }, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  child.stdin.end(contestant.prompt);
  const first = once(child.stdout, 'data').then(() => performance.now() - startedAt);
  child.stdout.resume();
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${contestant.agent} by hand ended with exit code ${code}`);
  const endMs = performance.now() - startedAt;
  await rm(clone, { recursive: true, force: true });
  return { firstMs: await first, endMs };
}
