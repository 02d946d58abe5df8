# {{title}}
FROM {{parent}}

USER root
# Where the host's certificates and package sources are mounted while this is built; nothing of them stays.
ARG APT_CONFIG
ARG CURL_CA_BUNDLE
ARG GIT_SSL_CAINFO
ARG NODE_EXTRA_CA_CERTS
ARG NPM_CONFIG_USERCONFIG
ARG PIP_CERT
ARG PIP_CONFIG_FILE
ARG REQUESTS_CA_BUNDLE
ARG SSL_CERT_FILE

{{{snippet}}}

USER dev
WORKDIR /workspace
ENTRYPOINT []
CMD ["terok-init", "interactive"]
