import { z } from 'zod';
import {
  absolutePath,
  environmentMap,
  hostName,
  httpsUrl,
  mountPath,
  pathSegment,
  programArgv,
  relativePath,
} from './field-schemas.ts';

/** oauth: access and refresh token. oauth_token: one that does not end. pat: a personal access token. */
export const CredentialKind = z.enum(['oauth', 'api_key', 'oauth_token', 'pat']);
export type CredentialKind = z.infer<typeof CredentialKind>;

const HeaderRule = z.strictObject({
  header: z.string().min(1).describe('Header that carries the real credential.'),
  prefix: z.string().default('').describe('Before the credential, like "Bearer ".'),
  extra: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      'More headers for this kind of credential. {name} is a fact that its login told; without it there is no such header.',
    ),
});

/** Where the credential proxy sends an agent's API calls, and how it signs them. */
export const Route = z.strictObject({
  prefix: pathSegment.describe('First path segment at the proxy; unique in the roster.'),
  upstream: httpsUrl,
  paths: z
    .record(z.string().startsWith('/'), httpsUrl)
    .default({})
    .describe('Other upstreams by path prefix.'),
  auth: z.partialRecord(CredentialKind, HeaderRule),
  websocket: z.boolean().default(false),
  rules: z
    .array(
      z.strictObject({
        methods: z
          .array(z.string().regex(/^[A-Z]+$/))
          .min(1)
          .optional()
          .describe('Default: all.'),
        path: z
          .string()
          .startsWith('/')
          .describe('"*" stands for one segment, "**" at the end for all that follow.'),
        kinds: z
          .array(CredentialKind)
          .min(1)
          .optional()
          .describe('Kinds of credential that this may be asked with. Default: all.'),
      }),
    )
    .optional()
    .describe('What may be asked for: anything else is refused. Absent: everything.'),
  graphql: z
    .string()
    .startsWith('/')
    .optional()
    .describe('Path where GraphQL is spoken: queries pass, mutations are refused.'),
  redirects: z
    .array(hostName)
    .default([])
    .describe('Hosts that a redirect of the upstream may lead to: followed without a credential.'),
  encoded_slashes: z.boolean().default(false).describe('The upstream takes %2F in paths, as GitLab does.'),
  usage: z
    .enum(['anthropic', 'openai', 'google'])
    .optional()
    .describe('How its answers tell what they cost.'),
  refresh: z
    .strictObject({
      token_url: httpsUrl,
      client_id: z.string().min(1),
      scope: z.string().optional(),
      body: z.enum(['json', 'form']).default('json'),
    })
    .optional()
    .describe('How an OAuth token is renewed, on the host.'),
});

/**
 * What the container sees in place of a secret: values may use {token}, {base_url}, {base_address} (its host and port)
 * and {socket}. Variables with {token} are another at each start, and no part of the container.
 */
export const Phantom = z.strictObject({
  env: environmentMap.default({}),
  files: z.array(z.strictObject({ path: mountPath, content: z.string() })).default([]),
  token_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,32}$/)
    .default('')
    .describe('What the program takes for the beginning of a key, where it looks at that.'),
});

/** How a real credential is read from what a login left behind. */
const Extract = z.strictObject({
  kind: CredentialKind,
  file: relativePath,
  format: z.enum(['json', 'yaml', 'toml', 'dotenv']),
  fields: z
    .record(z.string(), z.string().startsWith('/'))
    .describe('Credential field to JSON pointer; "*" matches any key.'),
  prefer: z.array(z.string()).default([]).describe('Which key "*" takes first.'),
  milliseconds: z.array(z.string()).default([]).describe('Fields that hold JavaScript timestamps.'),
});

export const Auth = z.strictObject({
  modes: z.array(CredentialKind).min(1),
  directory: z
    .strictObject({ host: pathSegment, container: absolutePath })
    .optional()
    .describe(
      'Where a login leaves its files: a directory of the host, mounted at this path for the login alone.',
    ),
  login: z
    .strictObject({ command: programArgv, publish: z.array(z.string()).default([]) })
    .optional()
    .describe("The vendor's own login, and ports of the host's loopback it needs."),
  hint: z.string().optional().describe('Shown before a login.'),
  api_key_hint: z.string().optional().describe('Where one gets an API key.'),
  credential_file: relativePath
    .optional()
    .describe('File of that directory that would hold a real secret: it must never be seen in a task.'),
  extract: z.array(Extract).default([]),
  after_login: z
    .record(relativePath, z.record(z.string(), z.json()))
    .default({})
    .describe('JSON merged into files of the directory, so that the first start asks nothing.'),
});
