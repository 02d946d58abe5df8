# The person inside: uid 1000, taken over where the base has one. sudo is proven, not assumed.
RUN if entry="$(getent group 1000)"; then groupmod --new-name dev "${entry%%:*}"; else groupadd --gid 1000 dev; fi \
    && if entry="$(getent passwd 1000)"; then \
         usermod --login dev --home /home/dev --move-home --shell /bin/bash "${entry%%:*}"; \
       else useradd --uid 1000 --gid 1000 --create-home --home-dir /home/dev --shell /bin/bash dev; fi \
    && echo 'dev ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/dev \
    && chmod 0440 /etc/sudoers.d/dev \
    && visudo -cqf /etc/sudoers.d/dev \
    && install -d -o dev -g dev -m 0755 /workspace \
    && su dev -c 'sudo -n true'

# What is mounted below them must not make parents that belong to root.
RUN cd /home/dev && install -d -o dev -g dev -m 0755 .cache .config .local .local/share .local/state

COPY gitconfig /etc/gitconfig
COPY profile.sh /etc/profile.d/terok.sh
COPY container-tmux.conf /etc/tmux.conf
COPY terok-init terok-git-credential /usr/local/bin/

# The wrappers of the agents first, then where the base keeps its programs.
ENV PATH=/etc/terok/bin:${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
ENV HOME=/home/dev USER=dev LANG=C.UTF-8 REPO_ROOT=/workspace GIT_RESET_MODE=none
WORKDIR /workspace
USER dev
# A base's own entry point would stand before every command of ours.
ENTRYPOINT []
CMD ["terok-init", "interactive"]
