import { z } from 'zod';
import { method, nullable } from './control-method.ts';

const project = z.string().max(200);
const destination = z.string().max(400);

const key = z.object({
  project: z.string(),
  type: z.enum(['ed25519', 'rsa']),
  fingerprint: z.string(),
  publicKey: z.string(),
  comment: z.string(),
  createdAt: z.string(),
});
export type SshKeyRecord = z.infer<typeof key>;

/** SSH keys of projects, and the hosts they are for. */
export const sshMethods = {
  sshInit: method(
    'ssh.init',
    z.strictObject({
      project,
      type: z.enum(['ed25519', 'rsa']),
      rotate: z.boolean(),
      comment: z.string().max(1000).optional(),
    }),
    key.extend({
      origin: z.enum(['generated', 'existing', 'imported']),
      importedFrom: nullable(z.string()),
      /** What project.yml lists. */
      destinations: z.array(z.string()),
    }),
  ),
  sshKey: method('ssh.key', z.strictObject({ project }), z.object({ key: nullable(key) })),
  sshRemove: method('ssh.remove', z.strictObject({ project }), z.object({ wasStored: z.boolean() })),
  sshScan: method(
    'ssh.scan',
    z.strictObject({ project, destination }),
    z.object({
      file: z.string(),
      projectFile: z.string(),
      /** project.yml lists the destination already. */
      isListed: z.boolean(),
      keys: z.array(
        z.object({ type: z.string(), fingerprint: z.string(), line: z.string(), isKnown: z.boolean() }),
      ),
    }),
  ),
  sshTrust: method(
    'ssh.trust',
    z.strictObject({ project, destination, lines: z.array(z.string().max(8192)).max(32) }),
    z.object({ added: z.int() }),
  ),
} as const;
