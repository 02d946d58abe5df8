import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Figure, toFigure } from '../test/support/figure.ts';

const ROUNDS = 21;
const main = path.resolve(import.meta.dirname, '../dist/server/main.js');

const INITIALIZE = `${JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
})}\n`;

/**
 * From starting the front end to the answered `initialize`, with the daemon running, against Node doing
 * nothing. Medians of interleaved rounds.
 */
export async function run(): Promise<readonly Figure[]> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'tkb-'));
  const env = {
    ...process.env,
    TEROK_CONFIG_DIR: path.join(root, 'c'),
    TEROK_STATE_DIR: path.join(root, 's'),
    TEROK_RUNTIME_DIR: path.join(root, 'r'),
  };
  try {
    await untilInitialized(env);
    const ours: number[] = [];
    const baseline: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      baseline.push(await untilExit(spawn(process.execPath, ['-e', '0'], { env, stdio: 'ignore' })));
      ours.push(await untilInitialized(env));
    }
    return [toFigure('front end to answered initialize', { ours, baseline })];
  } finally {
    await untilExit(spawn(process.execPath, [main, 'daemon', 'stop'], { env, stdio: 'ignore' }));
    await rm(root, { recursive: true, force: true });
  }
}

async function untilInitialized(env: NodeJS.ProcessEnv): Promise<number> {
  const started = performance.now();
  const child = spawn(process.execPath, [main, 'stdio'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = untilExit(child);
  child.stdin.write(INITIALIZE);
  const elapsed = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', () => resolve(performance.now() - started));
    child.once('exit', (code) => reject(new Error(`the front end ended with ${code}`)));
  });
  child.stdin.end();
  await exited;
  return elapsed;
}

async function untilExit(child: ChildProcess): Promise<number> {
  const started = performance.now();
  await new Promise((resolve) => child.once('exit', resolve));
  return performance.now() - started;
}
