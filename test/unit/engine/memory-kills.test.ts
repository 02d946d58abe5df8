import { describe, expect, it } from 'vitest';
import { memoryKills, parseMemoryKills } from '../../../src/runtime/engine/podman/memory-kills.ts';

const ID = 'd0f3f77eb0bb3193afe6c92fb21222864dbdd5b1db0fb26a0103a198223b0956';
const kill = (at: string, cgroup: string, name = 'tail') =>
  `[${at}] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=${cgroup},task_memcg=${cgroup},task=${name},pid=15678,uid=0`;

describe('what the kernel killed for memory', () => {
  it('is read from its log, whichever way cgroups are laid out', () => {
    const log = [
      '[    0.000000] Linux version 6.18.0',
      kill('27148.619497', `/libpod_parent/libpod-${ID}`),
      '[27148.619526] Memory cgroup out of memory: Killed process 15678 (tail) total-vm:67284kB',
      kill('   12.000001', `/machine.slice/libpod-${ID}.scope/container`),
      kill('13.5', '/user.slice/other'),
    ].join('\n');
    expect(parseMemoryKills(log)).toEqual([
      { containerId: ID, atS: 27148.619497 },
      { containerId: ID, atS: 12.000001 },
    ]);
  });

  it('is not what a process would have it by its name', () => {
    const forged = kill('1.0', '/user.slice/x', `task_memcg=/libpod-${ID}`);
    expect(parseMemoryKills(`[ 1.0] something said oom-kill:task_memcg=/libpod-${ID}\n${forged}`)).toEqual(
      [],
    );
  });

  it('is nothing where this user may not look', () => {
    expect(memoryKills.parse({ stdout: '', stderr: 'Operation not permitted', exitCode: 1 })).toEqual([]);
  });
});
