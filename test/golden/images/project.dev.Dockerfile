# The project's own lines without agents.
FROM localhost/terok-l0:ubuntu-24.04

USER root
# Where the host's certificates and package sources are mounted while this is built; nothing of them stays.
ARG APT_CONFIG CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS NPM_CONFIG_USERCONFIG PIP_CERT PIP_CONFIG_FILE REQUESTS_CA_BUNDLE SSL_CERT_FILE

RUN apt-get update
ENV X="{{{y}}} $& {{z}}"

# Whatever the lines above say.
ENV HOME=/home/dev USER=dev PATH=/etc/terok/bin:$PATH
USER dev
WORKDIR /workspace
ENTRYPOINT []
CMD ["terok-init", "interactive"]
