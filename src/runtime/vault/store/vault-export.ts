import { z } from 'zod';
import { InvalidInputError } from '../../core/errors.ts';
import { AgentName, ProjectId } from '../../core/ids.ts';
import type { Secret } from '../../core/secret.ts';
import { cleanLine } from '../../core/untrusted-text.ts';
import { DEFAULT_SET } from '../contract.ts';
import { StoredCredential } from '../stored-credential.ts';
import { openUnderPassphrase, PassphraseSealed, sealUnderPassphrase } from './passphrase.ts';
import type { Binding } from './sealing.ts';

const MAX_CHARS = 16 * 1024 * 1024;
const FORMAT = 'terok-mcp vault export';
const VERSION = 1;
const BINDING: Binding = [FORMAT, VERSION];

const Envelope = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  ...PassphraseSealed.shape,
});
const AnyVersion = z.object({ format: z.literal(FORMAT), version: z.int() });

/** What people are shown afterwards: whoever made the export chose it. */
const line = (maxChars: number) => z.string().refine((text) => cleanLine(text, maxChars) === text);

export const VaultContent = z.strictObject({
  credentials: z.array(
    z.strictObject({
      provider: AgentName,
      set: z.union([z.literal(DEFAULT_SET), ProjectId]),
      credential: StoredCredential,
    }),
  ),
  sshKeys: z.array(
    z.strictObject({
      info: z.strictObject({
        project: ProjectId,
        type: z.enum(['ed25519', 'rsa']),
        fingerprint: line(100),
        publicKey: line(8192),
        comment: line(200),
        createdAt: z.iso.datetime(),
      }),
      privateKey: z.string(),
    }),
  ),
});
export type VaultContent = z.infer<typeof VaultContent>;

/** JSON, sealed under a passphrase of its own. */
export async function writeExport(
  content: z.input<typeof VaultContent>,
  passphrase: Secret,
  cost: number,
): Promise<string> {
  const plain = Buffer.from(JSON.stringify(content));
  try {
    const sealed = await sealUnderPassphrase(passphrase, plain, { binding: BINDING, cost });
    const text = JSON.stringify(
      { format: FORMAT, version: VERSION, ...sealed } satisfies z.infer<typeof Envelope>,
      null,
      2,
    );
    return `${text}\n`;
  } finally {
    plain.fill(0);
  }
}

/** Throws InvalidInputError for anything but an unchanged export with its passphrase. */
export async function readExport(text: string, passphrase: Secret): Promise<VaultContent> {
  const parsed = text.length > MAX_CHARS ? undefined : parseJson(text);
  const envelope = Envelope.safeParse(parsed);
  if (!envelope.success) throw notAnExport(parsed);
  const { format: _, version: __, ...sealed } = envelope.data;
  const plain = await openUnderPassphrase(passphrase, sealed, BINDING);
  if (plain === undefined) {
    throw new InvalidInputError(
      'The export does not open: the passphrase is wrong, or the text was changed',
      {
        hint: 'Try the passphrase that was chosen when it was made. Nothing was imported.',
      },
    );
  }
  try {
    const content = VaultContent.safeParse(parseJson(plain.toString()));
    if (content.success) return content.data;
    throw new InvalidInputError('This export holds a record that no vault can hold', {
      hint: 'Make it anew with "terok-mcp vault export". Nothing was imported.',
    });
  } finally {
    plain.fill(0);
  }
}

function notAnExport(parsed: unknown): InvalidInputError {
  const other = AnyVersion.safeParse(parsed);
  const isNewer = other.success && other.data.version > VERSION;
  return new InvalidInputError(
    isNewer ? 'This export was made by a newer terok-mcp' : 'This is no export of a vault, or it is cut off',
    {
      hint: isNewer
        ? 'Import it with that release. Nothing was imported.'
        : 'Give what "terok-mcp vault export" wrote, as a whole. Nothing was imported.',
    },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
