import { createHash, randomBytes } from 'node:crypto';
import { Secret } from '../core/secret.ts';
import type { Project } from '../projects/contract.ts';
import type { TaskSettings } from './task-row.ts';

interface Place {
  readonly settings: Pick<TaskSettings, 'web'>;
  readonly project: Project;
}

/** The address that people use, without the token. */
export const publicUrlOf = ({ settings, project, port }: Place & { readonly port: number }): string =>
  settings.web?.publicUrl ?? project.settings.web.public_url ?? `http://127.0.0.1:${port}`;

/** The port that somebody demanded; undefined where any will do. */
export const demandedPort = ({ settings, project }: Place): number | undefined =>
  settings.web?.port ?? project.settings.web.port;

/** What lets in whoever has it. */
export const newWebToken = (): Secret => new Secret(`terok-w-${randomBytes(32).toString('hex')}`);

export const newGateToken = (): Secret => new Secret(`terok-g-${randomBytes(32).toString('hex')}`);

export const hashOf = (token: Secret): Uint8Array => createHash('sha256').update(token.reveal()).digest();

/** The address with its token, told to whoever started the task and nowhere else. */
export function addressWith(publicUrl: string, token: Secret): string {
  const url = new URL(publicUrl);
  if (!url.pathname.endsWith('/')) url.pathname = `${url.pathname}/`;
  url.searchParams.set('token', token.reveal());
  return url.toString();
}
