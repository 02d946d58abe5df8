import { describe, expect, it } from 'vitest';
import { baseName, packageFamily } from '../../../src/runtime/images/base-name.ts';
import { DockerSettings } from '../../../src/runtime/images/contract.ts';

const settings = (docker: Partial<DockerSettings> = {}): DockerSettings => DockerSettings.parse(docker);

describe('the base image that somebody wrote', () => {
  it.each([
    ['', undefined],
    ['  ', undefined],
    ['ubuntu:24.04', 'docker.io/library/ubuntu:24.04'],
    ['fedora', 'docker.io/library/fedora:latest'],
    ['nvidia/cuda:12.6.0-devel-ubuntu24.04', 'docker.io/nvidia/cuda:12.6.0-devel-ubuntu24.04'],
    ['localhost/mine:1', 'localhost/mine:1'],
    ['localhost/terok-base:debian-trixie', 'localhost/terok-base:debian-trixie'],
    ['registry.example:5000/team/image', 'registry.example:5000/team/image:latest'],
    [`debian@sha256:${'a'.repeat(64)}`, `docker.io/library/debian@sha256:${'a'.repeat(64)}`],
    [`debian:trixie@sha256:${'a'.repeat(64)}`, `docker.io/library/debian@sha256:${'a'.repeat(64)}`],
  ])('%j is %s', (written, full) => expect(baseName(settings({ base_image: written }))).toBe(full));

  it.each([
    '--privileged',
    'a b',
    'dir:/etc',
    'docker-archive:/x.tar',
    'ubuntu:',
    'a//b',
    'a/',
    'x\nRUN evil',
    'Ubuntu',
    'x@sha256:short',
    '$HOME',
  ])('refuses %j', (written) => {
    expect(() => baseName(settings({ base_image: written }))).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT' }),
    );
  });
});

describe('the package manager of a base image', () => {
  it.each([
    ['docker.io/library/ubuntu:24.04', 'deb'],
    ['docker.io/library/debian:trixie', 'deb'],
    ['localhost/terok-base:debian-trixie', 'deb'],
    ['docker.io/nvidia/cuda:12.6.0-devel-ubuntu24.04', 'deb'],
    ['nvcr.io/nvidia/cuda:12.6.0-base-ubi9', 'rpm'],
    ['docker.io/nvidia/cuda:12.6.0-runtime-rockylinux9', 'rpm'],
    ['docker.io/library/fedora:41', 'rpm'],
    ['registry.example.org:5000/fedora:41', 'rpm'],
    ['quay.io/centos/centos:stream9', 'rpm'],
    ['docker.io/library/almalinux:9', 'rpm'],
    ['registry.example.org/ubi9/ubi:latest', 'rpm'],
    ['docker.io/redhat/ubi9:latest', 'rpm'],
  ])('%s: %s', (base, family) => expect(packageFamily(base, settings())).toBe(family));

  it.each(['docker.io/library/alpine:3', 'docker.io/nvidia/cuda:12.6.0', 'localhost/mine:1'])(
    'is not guessed for %s, and the key that says it is named',
    (base) => {
      expect(() => packageFamily(base, settings())).toThrow(
        expect.objectContaining({ code: 'INVALID_INPUT', hint: expect.stringContaining('docker.family') }),
      );
      expect(packageFamily(base, settings({ family: 'rpm' }))).toBe('rpm');
    },
  );
});
