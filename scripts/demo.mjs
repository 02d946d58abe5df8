#!/usr/bin/env node
// The whole story with a real MCP client: delegate, watch, review, promote. Every line printed with a check
// mark was looked at, not assumed; anything that did not happen ends the demo with a message and exit code 1.
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import path from 'node:path';
import { promisify } from 'node:util';
import { ensureBuild, ensureDependencies } from './bootstrap.mjs';

const repository = path.resolve(import.meta.dirname, '..');
const main = path.join(repository, 'dist/server/main.js');
const exec = promisify(execFile);

const started = performance.now();
let lastStep = started;
const root = mkdtempSync('/tmp/tkd-');
const upstream = path.join(root, 'upstream.git');
const state = path.join(root, 's');
const gate = path.join(state, 'gate/demo.git');
const instance = createHash('sha256').update(state).digest('hex').slice(0, 12);
// Our own state, the shared Podman store: images that were built once are used again.
const env = {
  ...process.env,
  TEROK_CONFIG_DIR: path.join(root, 'c'),
  TEROK_STATE_DIR: state,
  TEROK_RUNTIME_DIR: path.join(root, 'r'),
  // The vendor of this story is a server of ours; its authority is trusted as a company's own would be.
  NODE_EXTRA_CA_CERTS: path.join(root, 'trusted.pem'),
};
const KEY = `sk-real-${randomBytes(16).toString('hex')}`;

const PROMPT = `Add a greeting, and try what an agent must not be able to do.
\`\`\`steps
say Reading the repository
run git log --oneline -n 3
write GREETING.md Hello from a sandboxed agent.
commit Add a greeting
push -u HEAD:refs/heads/fix/greeting
say Forcing garbage onto main
try git push --force origin "$(git commit-tree -m garbage 'HEAD^{tree}'):refs/heads/main"
say Asking the vendor, with the only key there is
run curl -sS -m 10 -H "Authorization: Bearer $VENDOR_KEY" "$VENDOR_URL/v1/hello"
run echo "my key: $VENDOR_KEY" | cut -c 1-25
say Calling an address outside
connect 203.0.113.1 443
say Done
\`\`\`
`;

const FOLLOW_UP = `Say who is greeted.
\`\`\`steps
say The work of the first run is still here
run grep -q Hello GREETING.md
append GREETING.md It greets whoever reads this.
commit Say who is greeted
push HEAD:refs/heads/fix/greeting
\`\`\`
`;

let client;
let vendor;
let isCleanedUp = false;
let setupChild;
let abandonment;

process.once('SIGINT', () => void abandon(130));
process.once('SIGTERM', () => void abandon(143));

try {
  await ensureDependencies();
  await ensureBuild();
  await runSetup();
  await openVendor();
  await tellStory();
  await finish();
  console.log(`\nAll of it really happened, in ${seconds(started)}.`);
} catch (error) {
  console.error(`\n✗ ${error instanceof Error ? error.message : String(error)}`);
  await abandon(1);
}

async function tellStory() {
  const mainBefore = await makeUpstream();
  check(true, `An upstream with this repository's history stands at ${upstream}`);
  await terok('project', 'create', 'demo', '--upstream', upstream, '--branch', 'main');
  check(true, 'terok-mcp project create demo');
  print(await terokFed(KEY, 'auth', 'scripted'));
  check(true, 'terok-mcp auth: the key of a vendor is in the vault');
  client = await connect();
  const { tools } = await client.listTools();
  check(tools.length >= 12, `An MCP client is connected over stdio and sees ${tools.length} tools`);

  const { task } = await call('run_headless', {
    project: 'demo',
    agent: 'scripted',
    name: 'greeting',
    prompt: PROMPT,
  });
  check(/^\w{5}$/.test(task), `run_headless: the work is delegated to task ${task}; its output:`);
  const heard = await streamLog(task);
  const status = await waitForEnd(task);
  check(
    status.state === 'completed' && status.exit_code === 0,
    `The agent ended: ${status.state}, exit code ${status.exit_code}`,
  );

  const log = await callText('task_logs', { task, max_chars: 40_000 });
  check(
    vendor.keys.length === 1 && vendor.keys[0] === `Bearer ${KEY}`,
    'The vendor was asked once, with the real key',
  );
  check(
    /my key: terokp[0-9a-f]+/.test(log) && log.includes('Hello from the vendor') && !log.includes(KEY),
    'The agent had its answer, and a key that is worth nothing elsewhere',
  );
  const audit = await terok('audit', '--task', task);
  check(
    audit.includes('/v1/hello') && !audit.includes(KEY),
    'terok-mcp audit: who asked for what, and how it went:',
  );
  print(audit);

  const shield = await call('shield_status', { task });
  const refused = shield.refused.find(({ address, port }) => address === '203.0.113.1' && port === 443);
  check(
    refused !== undefined && shield.state === 'down',
    'shield_status: its connection to 203.0.113.1:443 was refused and recorded; its network is gone with it',
  );

  const branch = `${task}/fix/greeting`;
  check(
    status.branches.some((pushed) => pushed.branch === `${task}/main`),
    `Its forced push to main landed in its own corner, as ${task}/main`,
  );
  const gateMain = await revision(gate, 'refs/heads/main');
  check(gateMain === mainBefore, `The gate's main has not moved (${short(gateMain)})`);
  check(
    (await revision(upstream, 'refs/heads/main')) === mainBefore,
    `Upstream's main has not moved (${short(mainBefore)})`,
  );

  await call('follow_up', { task, prompt: FOLLOW_UP });
  check(true, 'follow_up: the same task goes on with another prompt; its output:');
  await streamLog(task, heard);
  const after = await waitForEnd(task);
  check(after.state === 'completed', `The agent ended again: ${after.state}, exit code ${after.exit_code}`);

  const stat = await call('gate_diff', { project: 'demo', branch });
  check(
    stat.commit_count === 2 && stat.files.some((file) => file.path === 'GREETING.md'),
    `gate_diff: 2 commits, ${stat.file_count} file in ${branch}:`,
  );
  const patch = await callText('gate_diff', { project: 'demo', branch, patch: true });
  print(patch);
  check(
    patch.includes('+Hello from a sandboxed agent.') && patch.includes('+It greets'),
    'The patch is what was asked for',
  );

  const parked = await call('promote', { project: 'demo', branch, head: stat.head });
  check(
    parked.outcome === 'awaiting_approval',
    `promote: parked as ${parked.approval} until a person agrees`,
  );
  check(
    (await revision(upstream, 'refs/heads/fix/greeting')) === undefined,
    'Nothing has reached upstream so far',
  );
  print(await terok('approve', parked.approval, '--yes'));
  const promoted = await revision(upstream, 'refs/heads/fix/greeting');
  check(promoted === stat.head, `terok-mcp approve: upstream's fix/greeting is exactly ${short(stat.head)}`);
  check((await revision(upstream, 'refs/heads/main')) === mainBefore, "Upstream's main still has not moved");

  await call('delete_task', { task });
  const { total } = await call('list_tasks', {});
  check(total === 0, `delete_task: ${task} is gone`);
}

async function finish() {
  await client.close();
  await vendor.close();
  await terok('daemon', 'stop');
  const containers = await terok(
    'podman',
    'ps',
    '--all',
    '--quiet',
    '--filter',
    `label=ai.terok.instance=${instance}`,
  );
  check(containers.trim() === '', 'No container is left');
  const pins = existsSync(path.join(root, 'r/netns')) ? await readdir(path.join(root, 'r/netns')) : [];
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(root));
  check(pins.length === 0 && mounts.length === 0, 'No network namespace is left');
  const processes = await processesOf(root);
  check(processes.length === 0, `No process is left${processes.map((line) => `\n    ${line}`).join('')}`);
  await removeRoot();
  check(!existsSync(root), 'No file is left');
  isCleanedUp = true;
}

async function runSetup() {
  // The agent of this story is the only one its image needs; without this line all of the roster is installed.
  await mkdir(env.TEROK_CONFIG_DIR, { recursive: true });
  await writeFile(path.join(env.TEROK_CONFIG_DIR, 'config.yml'), 'docker:\n  agents: [scripted]\n');
  // There is no vendor yet to be trusted.
  const setupEnv = { ...env, NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS ?? '' };
  console.log('· terok-mcp setup');
  await new Promise((resolve, reject) => {
    setupChild = spawn(process.execPath, [main, 'setup'], {
      env: setupEnv,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    setupChild.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`terok-mcp setup ended with ${code}`)),
    );
  });
  check(true, 'The host has what tasks need');
}

/** What stands for a paid API: HTTPS on loopback, under an authority made for this story. */
async function openVendor() {
  const file = (name) => path.join(root, name);
  const openssl = (...args) => exec('openssl', args);
  const days = ['-days', '1', '-noenc', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  await openssl(
    'req',
    '-x509',
    ...days,
    '-subj',
    '/CN=Demo authority',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
  );
  await openssl(
    ...['req', '-x509', ...days, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ...[
      '-CA',
      file('ca.pem'),
      '-CAkey',
      file('ca.key'),
      '-keyout',
      file('key.pem'),
      '-out',
      file('cert.pem'),
    ],
  );
  const alsoTrusted = process.env.NODE_EXTRA_CA_CERTS;
  await writeFile(
    env.NODE_EXTRA_CA_CERTS,
    [alsoTrusted, file('ca.pem')].flatMap((one) => (one ? [readFileSync(one, 'utf8')] : [])).join('\n'),
  );
  const keys = [];
  const server = createServer(
    { key: await readFile(file('key.pem')), cert: await readFile(file('cert.pem')) },
    (request, response) => {
      keys.push(request.headers.authorization);
      response.end('Hello from the vendor\n');
    },
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  vendor = {
    keys,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
  await mkdir(path.join(env.TEROK_CONFIG_DIR, 'agents'), { recursive: true });
  // Merged over the bundled entry: where its API is, how it is signed, and how its program is told.
  await writeFile(
    path.join(env.TEROK_CONFIG_DIR, 'agents/scripted.yaml'),
    `auth: { modes: [api_key] }
route:
  prefix: scripted
  upstream: https://localhost:${server.address().port}
  auth: { api_key: { header: Authorization, prefix: "Bearer " } }
phantom:
  api_key: { env: { VENDOR_KEY: "{token}", VENDOR_URL: "{base_url}" } }
`,
  );
}

async function makeUpstream() {
  await mkdir(root, { recursive: true });
  if (existsSync(path.join(repository, '.git'))) {
    await git(root, 'clone', '--quiet', '--bare', repository, upstream);
    const head = (await git(repository, 'rev-parse', 'HEAD')).trim();
    await git(upstream, 'update-ref', 'refs/heads/main', head);
  } else {
    const work = path.join(root, 'work');
    await git(root, 'init', '--quiet', '--initial-branch=main', work);
    await writeFile(path.join(work, 'README.md'), '# A small history\n');
    await git(work, 'add', '.');
    await git(
      work,
      '-c',
      'user.name=Demo',
      '-c',
      'user.email=demo@example.org',
      'commit',
      '--quiet',
      '-m',
      'First commit',
    );
    await git(root, 'clone', '--quiet', '--bare', work, upstream);
  }
  await git(upstream, 'symbolic-ref', 'HEAD', 'refs/heads/main');
  return await revision(upstream, 'refs/heads/main');
}

async function connect() {
  const { Client } = await import('@modelcontextprotocol/client');
  const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
  const connected = new Client({ name: 'demo', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await connected.connect(
    new StdioClientTransport({ command: process.execPath, args: [main, 'stdio'], env, stderr: 'inherit' }),
  );
  return connected;
}

async function callText(name, args) {
  const result = await client.callTool({ name, arguments: args }, { timeout: 600_000 });
  const text = result.content.map((block) => block.text ?? '').join('\n');
  if (result.isError) throw new Error(`${name}: ${text}`);
  return text;
}

async function call(name, args) {
  return JSON.parse(await callText(name, args));
}

/** Prints what comes, until the task has ended; says how far that was. */
async function streamLog(task, from = 0) {
  let cursor = from;
  for (let isComplete = false; !isComplete; ) {
    const text = await callText('task_logs', { task, cursor, wait_s: 20, max_chars: 40_000 });
    const header = /^# task=\w+ next_cursor=(\d+) complete=(true|false)/.exec(text);
    if (header === null) throw new Error('task_logs answered without its header');
    cursor = Number(header[1]);
    isComplete = header[2] === 'true';
    const lines = text
      .split('\n')
      .slice(1)
      .filter((line) => !/^--- (begin|end) untrusted |^\(nothing /.test(line));
    for (const line of lines) console.log(`    │ ${line}`);
  }
  return cursor;
}

async function waitForEnd(task) {
  for (;;) {
    const status = await call('task_status', { task, wait_s: 20 });
    if (['completed', 'failed', 'stopped'].includes(status.state)) return status;
  }
}

async function terok(...args) {
  const { stdout } = await exec(process.execPath, [main, ...args], {
    env,
    maxBuffer: 64 * 1024 * 1024,
  }).catch((error) => {
    throw new Error(`terok-mcp ${args.join(' ')}: ${error.stderr || error.message}`);
  });
  return stdout;
}

/** The same, with something on standard input. */
async function terokFed(input, ...args) {
  const running = exec(process.execPath, [main, ...args], { env });
  running.child.stdin.end(input);
  return (await running).stdout;
}

async function git(directory, ...args) {
  // A checkout that another user owns is read all the same: nothing of it is run.
  const { stdout } = await exec('git', ['-c', 'safe.directory=*', '-C', directory, ...args], {
    env: { ...env, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

async function revision(directory, ref) {
  return await git(directory, 'rev-parse', '--verify', '--quiet', ref).then(
    (stdout) => stdout.trim(),
    () => undefined,
  );
}

async function processesOf(marker) {
  const found = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(marker)) found.push(`${pid} ${commandLine.replaceAll('\0', ' ').slice(0, 200)}`);
  }
  return found;
}

async function removeRoot() {
  // What containers wrote belongs to their users, whom only Podman's own user namespace may overrule.
  await rm(root, { recursive: true, force: true }).catch(async () => {
    if (process.getuid() !== 0) await terok('podman', 'unshare', 'rm', '-rf', root);
  });
}

/** Whoever calls first decides the exit code; what fails because of the cleaning up does not interrupt it. */
async function abandon(exitCode) {
  abandonment ??= cleanUp().then(() => process.exit(exitCode));
  await abandonment;
}

async function cleanUp() {
  if (isCleanedUp) return;
  console.error('· cleaning up');
  setupChild?.kill('SIGTERM');
  await vendor?.close();
  await client?.close().catch(warn);
  if (existsSync(state) && existsSync(main)) {
    const tasks = JSON.parse(await terok('task', 'list', '--json').catch(() => '[]'));
    for (const { id } of tasks) await terok('task', 'delete', id).catch(warn);
    await terok('daemon', 'stop').catch(warn);
  }
  await removeRoot().catch(warn);
}

function warn(error) {
  console.error(`! ${error.message}`);
}

function check(isTrue, claim) {
  if (!isTrue) throw new Error(`This did not happen: ${claim}`);
  console.log(`✓ ${claim} (${seconds(lastStep)})`);
  lastStep = performance.now();
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

function short(commit) {
  return String(commit).slice(0, 12);
}

function print(text) {
  for (const line of text.trimEnd().split('\n')) console.log(`    │ ${line}`);
}
