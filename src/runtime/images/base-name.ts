import { InvalidInputError } from '../core/errors.ts';
import { cleanLine } from '../core/untrusted-text.ts';
import type { DockerSettings, PackageFamily } from './contract.ts';

/** The grammar of image names (distribution/reference), without the names of transports like `dir:`. */
const REFERENCE =
  /^(?:[a-z0-9]+(?:[.-]+[a-z0-9]+)*:[0-9]{1,5}\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/**
 * The full name of a base image as a person wrote it: `fedora:41` is `docker.io/library/fedora:41`, and one without
 * a tag is `latest`, as Podman and Docker have it. A digest makes a tag beside it idle, so that goes. Undefined when
 * it is blank. Throws InvalidInputError.
 */
export function baseName(settings: DockerSettings): string | undefined {
  const name = settings.base_image.trim();
  if (name === '') return undefined;
  const match = REFERENCE.exec(name);
  if (match === null) {
    throw new InvalidInputError(`"${cleanLine(name)}" is not the name of an image`, {
      hint: 'Write docker.base_image like "ubuntu:24.04" or "registry.example.org/team/image:tag".',
    });
  }
  const digest = name.indexOf('@');
  const plain =
    digest === -1 ? name : name.slice(0, digest - (match.groups?.['tag']?.length ?? 0)) + name.slice(digest);
  const [first = '', ...rest] = plain.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const full = hasRegistry ? plain : rest.length === 0 ? `docker.io/library/${plain}` : `docker.io/${plain}`;
  return /[:@]/.test(full.slice(full.lastIndexOf('/'))) ? full : `${full}:latest`;
}

const DEB = /^(?:ubuntu|debian|terok-base)$/;
const RPM = /^(?:fedora|centos|rockylinux|almalinux|ubi(?:[0-9]+)?(?:-init)?)$/;

/**
 * Which package manager an image has, by its name alone: it may not be here yet. Throws InvalidInputError for one
 * that does not tell.
 */
export function packageFamily(base: string, settings: DockerSettings): PackageFamily {
  if (settings.family !== undefined) return settings.family;
  const [path = '', tag = ''] = splitTag(base);
  const parts = path.split('/');
  if (parts.slice(-2).join('/') === 'nvidia/cuda') {
    if (/ubuntu/.test(tag)) return 'deb';
    if (/ubi|rocky|centos/.test(tag)) return 'rpm';
  }
  const names = parts.slice(-1).concat(parts.slice(-2, -1));
  if (names.some((name) => RPM.test(name))) return 'rpm';
  if (DEB.test(names[0] ?? '')) return 'deb';
  throw new InvalidInputError(
    `The name "${cleanLine(base)}" does not tell which package manager that image has`,
    {
      hint: 'Set docker.family beside docker.base_image: "deb" (apt) or "rpm" (dnf).',
    },
  );
}

function splitTag(name: string): readonly [string, string] {
  const bare = name.replace(/@.*$/, '');
  const colon = bare.indexOf(':', bare.lastIndexOf('/'));
  return colon === -1 ? [bare, ''] : [bare.slice(0, colon), bare.slice(colon + 1)];
}
