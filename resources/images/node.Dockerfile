# Node for the agents, from the packages of npm that carry it, fetched by the host: /run/terok-downloads is mounted.
# "absent" leaves it out, and with it the agents that need it.
ARG NODE_ARCHIVES=present
RUN if [ "$NODE_ARCHIVES" = present ]; then \
      install -d /opt/terok/node/lib/node_modules/npm \
      && tar -xzf /run/terok-downloads/node-linux-{{architecture}}-{{node}}.tgz --no-same-owner --strip-components=1 \
           -C /opt/terok/node package/bin package/LICENSE \
      && tar -xzf /run/terok-downloads/npm-{{npm}}.tgz --no-same-owner --strip-components=1 \
           -C /opt/terok/node/lib/node_modules/npm \
      && chmod 0755 /opt/terok/node/bin/node \
           /opt/terok/node/lib/node_modules/npm/bin/npm-cli.js /opt/terok/node/lib/node_modules/npm/bin/npx-cli.js \
      && ln -s /opt/terok/node/bin/node /usr/local/bin/node \
      && ln -s /opt/terok/node/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
      && ln -s /opt/terok/node/lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
      && node --version && npm --version; \
    fi
