// Every figure of bench/, each as a ratio against a raw baseline measured in the same run.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { ensureBuild, ensureDependencies, root, runProgram } from './bootstrap.mjs';
import { withTestConfig } from './test-config.mjs';

await ensureDependencies();
await ensureBuild();
const setup = await withTestConfig(undefined, (directory) =>
  runProgram(process.execPath, [path.join(root, 'dist/server/main.js'), 'setup'], {
    stdio: ['ignore', 1, 2],
    env: { ...process.env, TEROK_CONFIG_DIR: directory },
  }),
);
if (setup !== 0) process.exit(setup);

// The figures are TypeScript beside the tests they share their hosts with; vitest's loader runs both.
const { createServer } = await import('vite');
const vite = await createServer({
  root,
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true },
  oxc: { target: 'es2022' },
});
let failed = 0;
try {
  console.log('\n| figure | ours | baseline | ratio |\n|---|---|---|---|');
  for (const file of readdirSync(path.join(root, 'bench')).sort()) {
    try {
      const { run } = await vite.ssrLoadModule(`/bench/${file}`);
      for (const { name, ours, baseline, ratio, unit } of await run()) {
        console.log(
          `| ${name} | ${ours.toFixed(0)} ${unit} | ${baseline.toFixed(0)} ${unit} | ${ratio.toFixed(2)} |`,
        );
      }
    } catch (error) {
      failed += 1;
      console.log(`| ${file} | failed: ${error.message} | | |`);
    }
  }
} finally {
  await vite.close();
}
process.exit(failed === 0 ? 0 : 1);
