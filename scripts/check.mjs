// Every static check. The last line says how many passed.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ensureDependencies, root } from './bootstrap.mjs';
import { judgeCruise, judgeLock } from './judges.mjs';

await ensureDependencies();

const checks = [
  { name: 'eslint', script: 'eslint/bin/eslint.js', args: ['.'] },
  { name: 'tsc', script: 'typescript/bin/tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'biome', script: '@biomejs/biome/bin/biome', args: ['check', '--error-on-warnings'] },
  {
    name: 'dependency-cruiser',
    script: 'dependency-cruiser/bin/dependency-cruise.mjs',
    args: ['--output-type', 'json', 'src'],
    judge: (stdout, stderr) => judgeCruise(stdout, stderr, sourceFiles()),
  },
  { name: 'knip', script: 'knip/bin/knip.js', args: ['--no-progress', '--treat-config-hints-as-errors'] },
  {
    name: 'package-lock',
    judge: () => judgeLock(readFileSync(path.join(root, 'package-lock.json'), 'utf8')),
  },
];

const results = [];
const queue = [...checks];
await Promise.all(
  [1, 2].map(async () => {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
      const problem = await examine(check);
      results.push(problem === undefined);
      console.log(`${problem === undefined ? 'ok  ' : 'FAIL'} ${check.name}`);
      if (problem !== undefined) console.log(problem);
    }
  }),
);

const passed = results.filter(Boolean).length;
const failed = results.length - passed;
process.exitCode = failed === 0 && passed === checks.length ? 0 : 1;
console.log(`${passed} passed, ${failed} failed, 0 skipped`);

/** What is wrong, or undefined. */
async function examine({ script, args, judge }) {
  if (script === undefined) return judge();
  const { code, stdout, stderr } = await run(path.join(root, 'node_modules', script), args);
  if (judge !== undefined) return judge(stdout, stderr);
  return code === 0 ? undefined : `${stdout}${stderr}`.trim();
}

function run(script, args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) {
      child[stream].setEncoding('utf8').on('data', (text) => {
        output[stream] += text;
      });
    }
    child.once('error', (error) => resolve({ code: 1, stdout: '', stderr: String(error) }));
    child.once('close', (code) => resolve({ code, ...output }));
  });
}

function sourceFiles() {
  return readdirSync(path.join(root, 'src'), { recursive: true }).filter((name) => name.endsWith('.ts'));
}
