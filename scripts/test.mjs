// Every test, rootless and, as root, rootful too. The very last line sums all runs.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureBuild, ensureDependencies, root, runProgram } from './bootstrap.mjs';
import { withTestConfig } from './test-config.mjs';
import { ensurePrograms, SSHD } from './test-programs.mjs';
import { endProcessesOf, prepareTestUser } from './test-user.mjs';

const isFull = process.argv.includes('--full');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--full');
if (unknown.length > 0) {
  console.error(`usage: test.mjs [--full]; not understood: ${unknown.join(' ')}`);
  process.exit(64);
}

/** Those that mostly wait for git, sockets and OpenSSH; the others mostly wait for containers. */
const withoutTasks = ['test/integration/gate-', 'test/integration/vault-'];
/** Each lane is one vitest, and they run at once: most of a test's time is waiting. */
const onHost = {
  tasks: { projects: ['integration'], exclude: withoutTasks.map((prefix) => `${prefix}*.test.ts`) },
  withoutTasks: { projects: ['integration'], only: withoutTasks },
};
// Building images, one with every agent among them, takes minutes: rootless in every run, rootful too in a full one.
const images = { projects: ['e2e', 'images', ...(isFull ? ['full'] : [])] };
const rootless = [onHost.tasks, onHost.withoutTasks, images];
const unit = { projects: ['unit'] };
const rootful = isFull ? [unit, ...rootless] : [{ projects: ['unit', 'integration', 'e2e'] }];
// The daemon, its front ends, host-side git and how a run is judged are the same for root as for anybody: once a run,
// twice in a full one.
const onceOnly = [
  'test/integration/gate-*.test.ts',
  'test/integration/{dev-login,follow-up,interactive,own-agent,repository,restart,task,task-configuration,tool,web}.test.ts',
  'test/integration/vault-{attacks,budget,keys,leaks,login,oauth,proxy,proxy-*,renewal-kill,ssh,ssh-frames,upstream}.test.ts',
  'test/e2e/{cli,crash,daemon-lifecycle,mcp-stdio}.test.ts',
];
/** Only root's tasks have limits that are enforced everywhere. */
const rootfulOnly = ['test/integration/outcome.test.ts'];
const total = { passed: 0, failed: 0, skipped: 0 };

await attempt('preparing this tree', async () => {
  await ensureDependencies();
  await ensureBuild();
  await ensurePrograms([SSHD]);
});
if (total.failed === 0) {
  const isRoot = process.getuid?.() === 0;
  let user;
  await runSuite(isRoot ? 'rootful' : 'rootless', isRoot ? rootful : [unit, ...rootless], {
    tree: root,
    exclude: isRoot && !isFull ? onceOnly : [],
    command: (args) => ({ file: process.execPath, args, options: { cwd: root } }),
    // The other user's images take minutes: they are made meanwhile, once the host has what that needs.
    onceSetUp: () => {
      user = isRoot ? attempt('preparing the test user', prepareUserAndImages) : undefined;
    },
  });
  if (isRoot) {
    const place = await (user ?? attempt('preparing the test user', prepareTestUser));
    if (place !== undefined) {
      try {
        await runSuite('rootless', rootless, { ...place, exclude: isFull ? [] : rootfulOnly });
      } finally {
        endProcessesOf(place.uid);
      }
    }
  }
}

if (total.passed === 0 && total.failed === 0) total.failed = 1;
process.exitCode = total.failed === 0 ? 0 : 1;
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);

/** What goes wrong with the images is told by the set-up and the tests that need them. */
async function prepareUserAndImages() {
  const place = await prepareTestUser();
  await withTestConfig(
    place.uid,
    (directory) =>
      run(place, [path.join(place.tree, 'dist/server/main.js'), 'setup'], {
        extra: { TEROK_CONFIG_DIR: directory },
        output: 'ignore',
      }),
    'all',
  );
  return place;
}

/** Set-up, then the lanes, as one user. */
async function runSuite(name, lanes, place) {
  console.log(`\n=== ${name}: set-up`);
  const setup = await withTestConfig(place.uid, (directory) =>
    run(place, [path.join(place.tree, 'dist/server/main.js'), 'setup'], {
      extra: { TEROK_CONFIG_DIR: directory },
    }),
  );
  if (setup !== 0) {
    // Tests that could not run have not passed.
    console.log(`=== ${name}: set-up failed (exit code ${setup})`);
    total.failed += 1;
    return;
  }
  place.onceSetUp?.();
  console.log(`\n=== ${name}: ${[...new Set(lanes.flatMap(({ projects }) => projects))].join(', ')}`);
  const directory = mkdtempSync(path.join(os.tmpdir(), 'terok-report-'));
  try {
    const all = await Promise.all(lanes.map((lane, index) => runLane(lane, index, place, directory)));
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const lane of all) for (const key of Object.keys(counts)) counts[key] += lane[key];
    console.log(`=== ${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    for (const key of Object.keys(total)) total[key] += counts[key];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One vitest. What any but the first prints comes once it has ended, so that lines stay together. */
async function runLane({ projects, exclude = [], only = [] }, index, place, directory) {
  const report = path.join(place.uid === undefined ? directory : place.tree, `report-${index}.json`);
  const said = path.join(directory, `lane-${index}.log`);
  const output = index === 0 ? 'inherit' : openSync(said, 'w');
  const code = await run(
    place,
    [
      path.join(place.tree, 'node_modules/vitest/vitest.mjs'),
      'run',
      ...only,
      ...projects.map((project) => `--project=${project}`),
      ...[...exclude, ...(place.exclude ?? [])].map((pattern) => `--exclude=${pattern}`),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ],
    { output },
  );
  if (index > 0) {
    closeSync(output);
    process.stdout.write(readFileSync(said));
  }
  return count(report, code);
}

function run(place, args, { extra = {}, output = 'inherit' } = {}) {
  const { file, args: all, options } = place.command(args);
  const env = { ...(options.env ?? process.env), ...extra };
  return runProgram(file, all, { ...options, env, stdio: ['ignore', output, output] });
}

/** What a run came to. A crash, a file that does not load and a run without tests are failures too. */
function count(reportFile, code) {
  try {
    const report = JSON.parse(readFileSync(reportFile, 'utf8'));
    const broken = report.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
    ).length;
    const counts = {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken,
      skipped: report.numPendingTests + report.numTodoTests,
    };
    if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) counts.failed = 1;
    return counts;
  } catch (error) {
    console.log(`the run left no report: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** A failure of the preparation counts as one failed test. */
async function attempt(what, work) {
  try {
    return await work();
  } catch (error) {
    console.log(`${what} failed: ${error.message}`);
    total.failed += 1;
    return undefined;
  }
}
