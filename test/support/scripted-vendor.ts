import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Has the scripted agent take an API key for a vendor at this address, and tells its program of the stand-in. */
export async function giveVendor({ config }: { readonly config: string }, url: string): Promise<void> {
  const agents = path.join(config, 'agents');
  await mkdir(agents, { recursive: true });
  await writeFile(
    path.join(agents, 'scripted.yaml'),
    `auth:
  modes: [api_key]
  directory: { host: _scripted, container: /home/dev/.scripted }
  credential_file: auth.json
state: [.scripted]
route:
  prefix: scripted
  upstream: ${url}
  auth: { api_key: { header: Authorization, prefix: "Bearer " } }
phantom:
  api_key: { env: { SCRIPTED_API_KEY: "{token}", SCRIPTED_URL: "{base_url}" }, token_prefix: sk- }
`,
  );
}
