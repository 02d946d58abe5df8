RUN --mount=type=cache,target=/run/terok-cache,sharing=locked \
    if [ -r /run/terok-build/env ]; then . /run/terok-build/env; fi \
    && dnf -y --setopt=install_weak_deps=False --setopt=keepcache=True --setopt=cachedir=/run/terok-cache/dnf ${SSL_CERT_FILE:+--setopt=sslcacert=$SSL_CERT_FILE} install python3 \
    && rm -rf /var/log/dnf* /var/log/hawkey.log
