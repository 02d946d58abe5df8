// As root, the rootless suite runs as a user of its own: what an ordinary person gets is what is tested.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { root } from './bootstrap.mjs';

const NAME = 'terok-test';
const STAMP = 'node_modules/.terok-installed';
/** Variables that say how this machine reaches the outside, and nothing about who runs it. */
const PASSED_ON =
  /^(?:https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR)|TERM|CI)$/;

/** Makes the user, its directories and a copy of this tree; returns how to run programs there as that user. */
export async function prepareTestUser() {
  const user = await ensureUser();
  const runtime = `/run/user/${user.uid}`;
  mkdirSync('/run/user', { recursive: true, mode: 0o755 });
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  chownSync(runtime, user.uid, user.gid);
  chmodSync(runtime, 0o700);
  const tree = path.join(user.home, 'terok-mcp');
  copyTree(tree, user);
  const node = ensureNode(tree, user);
  const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED_ON.test(name))),
    PATH: `${path.dirname(node)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    LANG: 'C.UTF-8',
    HOME: user.home,
    USER: NAME,
    LOGNAME: NAME,
    SHELL: '/bin/bash',
    XDG_RUNTIME_DIR: runtime,
  };
  return {
    tree,
    uid: user.uid,
    command: (args) => ({
      file: 'setpriv',
      args: [...asUser(user), node, ...args],
      options: { cwd: tree, env },
    }),
  };
}

const asUser = ({ uid, gid }) => [
  `--reuid=${uid}`,
  `--regid=${gid}`,
  '--init-groups',
  '--inh-caps=-all',
  '--',
];

async function ensureUser() {
  const read = () => {
    try {
      const fields = execFileSync('getent', ['passwd', NAME], { encoding: 'utf8' }).trim().split(':');
      return { uid: Number(fields[2]), gid: Number(fields[3]), home: fields[5] };
    } catch {
      return undefined;
    }
  };
  if (read() === undefined) {
    execFileSync('useradd', ['--create-home', '--shell', '/bin/bash', NAME], { stdio: ['ignore', 2, 2] });
  }
  const user = read();
  if (user === undefined) throw new Error(`the user ${NAME} could not be made`);
  const ids = await import(path.join(root, 'dist/runtime/core/subordinate-ids.js'));
  const texts = ['/etc/subuid', '/etc/subgid'].map((file) =>
    existsSync(file) ? readFileSync(file, 'utf8') : '',
  );
  const has = (text) =>
    ids.parseSubordinateIds(text).some(({ owner, size }) => owner === NAME && size >= ids.RANGE_SIZE);
  if (!texts.every(has)) {
    const { hostStart, size } = ids.findFreeRange(texts);
    const span = `${hostStart}-${hostStart + size - 1}`;
    execFileSync('usermod', ['--add-subuids', span, '--add-subgids', span, NAME], {
      stdio: ['ignore', 2, 2],
    });
  }
  return user;
}

/** The tree as git sees it, changes included, with what was installed and built. */
function copyTree(tree, user) {
  const keepsModules = sameContent(path.join(root, STAMP), path.join(tree, STAMP));
  mkdirSync(tree, { recursive: true });
  for (const name of readdirSync(tree)) {
    if (name !== 'node_modules' || !keepsModules)
      rmSync(path.join(tree, name), { recursive: true, force: true });
  }
  const git = [
    '-c',
    `safe.directory=${root}`,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ];
  const files = execFileSync('git', git, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\0');
  for (const file of files.filter((name) => name !== '' && existsSync(path.join(root, name)))) {
    mkdirSync(path.dirname(path.join(tree, file)), { recursive: true });
    cpSync(path.join(root, file), path.join(tree, file), { recursive: true, verbatimSymlinks: true });
  }
  const whole = ['dist', ...(keepsModules ? [] : ['node_modules'])];
  if (statSync(path.join(root, '.git'), { throwIfNoEntry: false })?.isDirectory() === true)
    whole.push('.git');
  for (const name of whole) {
    execFileSync('cp', ['-a', '--reflink=auto', '--', path.join(root, name), tree], {
      stdio: ['ignore', 2, 2],
    });
  }
  const owned = readdirSync(tree).filter((name) => name !== 'node_modules' || !keepsModules);
  execFileSync('chown', [
    '-R',
    '--',
    `${user.uid}:${user.gid}`,
    ...owned.map((name) => path.join(tree, name)),
  ]);
  chownSync(tree, user.uid, user.gid);
}

/** This Node, if the user may run it where it is; otherwise (a version manager in /root) a copy beside the tree. */
function ensureNode(tree, user) {
  try {
    execFileSync('setpriv', [...asUser(user), process.execPath, '--version'], { cwd: '/', stdio: 'ignore' });
    return process.execPath;
  } catch {
    const copy = path.join(path.dirname(tree), '.node/bin/node');
    mkdirSync(path.dirname(copy), { recursive: true, mode: 0o755 });
    copyFileSync(process.execPath, copy);
    chmodSync(copy, 0o755);
    return copy;
  }
}

const sameContent = (a, b) =>
  existsSync(a) && existsSync(b) && readFileSync(a, 'utf8') === readFileSync(b, 'utf8');

/** Ends what tests may have left running as their user; the user exists for them alone. */
export function endProcessesOf(uid) {
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      if (statSync(`/proc/${pid}`).uid === uid) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}
