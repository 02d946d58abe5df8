# by-apt
dnf -y --setopt=install_weak_deps=False --setopt=keepcache=True --setopt=cachedir=/run/terok-cache/dnf ${SSL_CERT_FILE:+--setopt=sslcacert=$SSL_CERT_FILE} install -- pkg-two
rm -rf /var/log/dnf* /var/log/hawkey.log

# by-npm
command -v npm > /dev/null || { echo "it needs Node, which could not be fetched"; exit 1; }
mkdir -p /opt/terok/agents/by-npm/vendor-agent
npm install --prefix=/opt/terok/agents/by-npm/vendor-agent --no-package-lock --no-audit --no-fund --loglevel=error -- '@vendor/agent@1.2.3'
test -x /opt/terok/agents/by-npm/vendor-agent/node_modules/.bin/agent || { echo "it has no program 'agent'"; exit 1; }
ln -s /opt/terok/agents/by-npm/vendor-agent/node_modules/.bin/agent /usr/local/bin/agent
mkdir -p /opt/terok/agents/by-npm/agent-acp
npm install --prefix=/opt/terok/agents/by-npm/agent-acp --no-package-lock --no-audit --no-fund --loglevel=error --omit=optional -- 'agent-acp@0.1.0'
test -x /opt/terok/agents/by-npm/agent-acp/node_modules/.bin/agent-acp || { echo "it has no program 'agent-acp'"; exit 1; }
ln -s /opt/terok/agents/by-npm/agent-acp/node_modules/.bin/agent-acp /usr/local/bin/agent-acp

# by-pip
python3 -m venv /opt/terok/agents/by-pip/py-agent
/opt/terok/agents/by-pip/py-agent/bin/pip install --quiet --disable-pip-version-check -- 'py-agent==2.0'
test -x /opt/terok/agents/by-pip/py-agent/bin/py-agent || { echo "it has no program 'py-agent'"; exit 1; }
ln -s /opt/terok/agents/by-pip/py-agent/bin/py-agent /usr/local/bin/py-agent

# by-shell
curl -fsS https://vendor.test/x | sh

# deb-only

# own
if [ -e /usr/local/bin/terok-scripted ] && ! cmp -s /run/terok-agents/own/programs/terok-scripted /usr/local/bin/terok-scripted; then echo "terok-scripted is there already, of another agent"; exit 1; fi
install -m 0755 /run/terok-agents/own/programs/terok-scripted /usr/local/bin/terok-scripted
if [ -e /usr/local/bin/own ] && ! cmp -s /run/terok-agents/own/programs/own /usr/local/bin/own; then echo "own is there already, of another agent"; exit 1; fi
install -m 0755 /run/terok-agents/own/programs/own /usr/local/bin/own

# sidecar-tool
dnf -y --setopt=install_weak_deps=False --setopt=keepcache=True --setopt=cachedir=/run/terok-cache/dnf ${SSL_CERT_FILE:+--setopt=sslcacert=$SSL_CERT_FILE} install -- unzip
rm -rf /var/log/dnf* /var/log/hawkey.log
