# Teranode's P2P service as its image has it: /app/teranode.run -p2p=1, settings by SETTINGS_CONTEXT. On a C library that the newest native
# WebSocket build loads on (Debian 13), for linux/amd64 and linux/arm64: both are made by whichever machine builds, only the last stage runs there.
ARG NODE_IMAGE=node:24-trixie-slim

# hadolint ignore=DL3006
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc LICENSE ./
RUN npm ci
COPY tsconfig.json ./
COPY bin bin
COPY client client
COPY proto proto
COPY src src
COPY test test
COPY bench bench
RUN npm run build && npm run release-papers

# hadolint ignore=DL3006
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS dependencies
ARG TARGETARCH
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY deploy/image/native-parts.mjs deploy/image/
# Native parts come built: as many packages carry those of every machine, only this one's stay.
RUN cpu=$(case "$TARGETARCH" in amd64) echo x64 ;; *) echo "$TARGETARCH" ;; esac) \
 && npm ci --omit=dev --os=linux --libc=glibc --cpu="$cpu" \
 && node deploy/image/native-parts.mjs node_modules "$cpu"

# hadolint ignore=DL3006
FROM ${NODE_IMAGE}
# What Teranode's compose files run inside: wget, netstat and nc for health, bash for the entrypoint.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash net-tools netcat-openbsd wget \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist/app dist/app
COPY --from=build /app/dist/release .
COPY package.json LICENSE ./
COPY bin/node-version.mjs bin/teranode-p2p.mjs bin/
COPY proto proto
COPY src/workers/websocket-server/page src/workers/websocket-server/page
COPY deploy/image/settings.conf deploy/image/teranode.run deploy/image/wait.sh ./
# For who starts it as user 1000 on volumes of its own; started as root it becomes that user by itself (teranode.run).
RUN install -d -o 1000 -g 1000 /data /app/data \
 && ln -s /app/bin/teranode-p2p.mjs /usr/local/bin/teranode-p2p
ENV NODE_ENV=production SETTINGS_CONTEXT=standalone PATH=/app:$PATH
# libp2p, PeerService, WebSocket, health, metrics
EXPOSE 9905 9904 9906 8000 9091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["wget", "-q", "--spider", "http://localhost:8000/health/liveness"]
LABEL org.opencontainers.image.title="teranode-p2p" \
      org.opencontainers.image.description="Teranode's P2P service" \
      org.opencontainers.image.licenses="MIT"
ENTRYPOINT ["/app/teranode.run"]
CMD ["-p2p=1"]
