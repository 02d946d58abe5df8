/** The four rules of ARCHITECTURE.md, checked. `test/unit/architecture.test.ts` checks that they looked. */
const features =
  'engine|images|agents|config|gpus|projects|gate|shield|relay|approvals|review|doctor|setup|transcript|web|vault';

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'runtime-knows-no-front-end',
      severity: 'error',
      from: { path: '^src/(runtime|tools)/' },
      to: { path: '^src/server/' },
    },
    {
      name: 'runtime-knows-no-tools',
      severity: 'error',
      from: { path: '^src/runtime/' },
      to: { path: '^src/tools/' },
    },
    {
      name: 'tools-see-contracts-only',
      severity: 'error',
      from: { path: '^src/tools/' },
      to: {
        path: '^src/runtime/',
        pathNot: ['^src/runtime/core/', '/contract\\.ts$', '^src/runtime/runtime\\.ts$'],
      },
    },
    {
      name: 'server-sees-the-runtime-only',
      severity: 'error',
      from: { path: '^src/server/' },
      to: {
        path: '^src/runtime/',
        pathNot: [
          '^src/runtime/core/',
          '/contract\\.ts$',
          '^src/runtime/(runtime|create-runtime|create-setup|create-renewal)\\.ts$',
        ],
      },
    },
    {
      name: 'core-is-the-bottom',
      severity: 'error',
      from: { path: '^src/runtime/core/' },
      to: { path: '^src/runtime/(?!core/)' },
    },
    {
      name: 'siblings-by-contract',
      severity: 'error',
      from: { path: `^src/runtime/(${features}|tasks)/` },
      to: { path: '^src/runtime/', pathNot: ['^src/runtime/core/', '/contract\\.ts$', '^src/runtime/$1/'] },
    },
    {
      name: 'tasks-on-top',
      severity: 'error',
      from: { path: `^src/runtime/(${features})/` },
      to: { path: '^src/runtime/tasks/' },
    },
    {
      name: 'only-the-composition-root-composes',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: ['^src/runtime/(compose|create-runtime|create-setup|create-renewal)\\.ts$', '^src/server/'],
      },
      to: { path: '^src/runtime/(compose|create-runtime|create-setup|create-renewal)\\.ts$' },
    },
    {
      name: 'processes-start-in-exec',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/runtime/core/exec\\.ts$', '^src/server/daemon-launcher\\.ts$'] },
      to: { path: '^(node:)?child_process$|node_modules/execa' },
    },
    {
      name: 'files-in-loaders-and-stores',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          '^src/runtime/core/(files|exec|database)\\.ts$',
          '(-loader|-store|-server|-watcher)\\.ts$',
          '^src/server/(main|daemon-launcher)\\.ts$',
        ],
      },
      to: { path: '^(node:)?fs(/promises)?$' },
    },
    {
      name: 'sockets-in-servers-and-clients',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: [
          '-(server|client)\\.ts$',
          '^src/server/pipe\\.ts$',
          '^src/runtime/(core/address-classes|shield/(contract|ruleset))\\.ts$',
        ],
      },
      to: { path: '^(node:)?(net|http|https|http2|tls|dgram|dns)(/promises)?$' },
    },
    {
      name: 'mcp-sdk-in-mcp',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/server/mcp/' },
      to: { path: 'node_modules/@modelcontextprotocol' },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: '^src/server/main\\.ts$' },
      to: {},
    },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
