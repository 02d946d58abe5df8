import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** What every script starts with, so that each works on a fresh clone. Needs Node and npm alone. */
export const root = path.resolve(import.meta.dirname, '..');

const STAMP = path.join(root, 'node_modules/.terok-installed');
const BUILT = path.join(root, 'dist/.built');
const COMPILERS = { python3: 'python3', make: 'make', 'g++': 'g++' };

/** Runs a program with its output on our standard error; resolves to the exit code. */
export function runProgram(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

/** Says what is being done and, every ten seconds, that it still is. */
export async function withProgress(title, work) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  process.stderr.write(`${title} …\n`);
  const timer = setInterval(() => process.stderr.write(`${title} … ${seconds()} s\n`), 10_000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (seconds() > 0) process.stderr.write(`${title}: took ${seconds()} s\n`);
  }
}

/** Installs what package-lock.json names, unless exactly that is installed for this Node already. */
export async function ensureDependencies() {
  const wanted = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .update(`${process.versions.modules} ${process.arch}`)
    .digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  if (!existsSync(STAMP) && isInstalledByHand()) {
    writeFileSync(STAMP, wanted);
    return;
  }
  const install = () =>
    withProgress('Installing dependencies (npm ci; a minute where better-sqlite3 must be compiled)', () =>
      runProgram(...npm(['ci', '--include=dev', '--no-progress', '--loglevel=error']), {
        env: npmEnvironment(),
      }),
    );
  let code = await install();
  if (code !== 0 && (await installCompilers())) code = await install();
  if (code !== 0) throw new Error(`npm ci failed (exit code ${code})`);
  writeFileSync(STAMP, wanted);
  markBuilt();
}

/** Whether somebody ran npm before us, and what is there is what package-lock.json names. */
function isInstalledByHand() {
  const native = path.join(root, 'node_modules/better-sqlite3/build/Release/better_sqlite3.node');
  const record = path.join(root, 'node_modules/.package-lock.json');
  if (!existsSync(native) || !existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const { '': _self, ...wanted } = JSON.parse(
    readFileSync(path.join(root, 'package-lock.json'), 'utf8'),
  ).packages;
  return Object.entries(wanted).every(([name, { version, optional }]) =>
    installed[name] === undefined ? optional === true : installed[name].version === version,
  );
}

/** Compiles `src` to `dist`, unless nothing changed since that was done. */
export async function ensureBuild() {
  const inputs = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  const newest = Math.max(...inputs.map((name) => newestChange(path.join(root, name))));
  if (existsSync(BUILT) && statSync(BUILT).mtimeMs >= newest) return;
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  const code = await withProgress('Compiling', () =>
    runProgram(process.execPath, [compiler, '-p', 'tsconfig.build.json']),
  );
  if (code !== 0) throw new Error('the sources do not compile');
  markBuilt();
}

function markBuilt() {
  if (existsSync(path.dirname(BUILT))) writeFileSync(BUILT, '');
}

function newestChange(file) {
  const info = statSync(file);
  if (!info.isDirectory()) return info.mtimeMs;
  // A directory's own time shows what was added to it or taken away.
  return Math.max(info.mtimeMs, ...readdirSync(file).map((name) => newestChange(path.join(file, name))));
}

/** npm as a program and its arguments: the one that runs us, else the one of this Node, else of PATH. */
function npm(args) {
  const beside = path.join(path.dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  const script = [process.env.npm_execpath, beside].find((file) => file?.endsWith('.js') && existsSync(file));
  return script === undefined ? ['npm', args] : [process.execPath, [script, ...args]];
}

/** With the headers of this Node at hand, node-gyp need not download them. */
function npmEnvironment() {
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  const hasHeaders = existsSync(path.join(prefix, 'include/node/node.h'));
  return { ...process.env, JOBS: 'max', ...(hasHeaders ? { npm_config_nodedir: prefix } : {}) };
}

/** Without a prebuilt binary better-sqlite3 is compiled. True when something was installed for that. */
async function installCompilers() {
  const directories = (process.env.PATH ?? '').split(path.delimiter);
  const missing = Object.entries(COMPILERS)
    .filter(([program]) => !directories.some((directory) => existsSync(path.join(directory, program))))
    .map(([, name]) => name);
  if (missing.length === 0) return false;
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing];
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    process.stderr.write(
      `A native module must be compiled. Ask an administrator to run: ${install.join(' ')}\n`,
    );
    return false;
  }
  return await withProgress(`Installing ${missing.join(', ')}`, async () => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await runProgram('apt-get', ['-qq', 'update'], { env });
    return (await runProgram(install[0], ['-qq', ...install.slice(1)], { env })) === 0;
  });
}
