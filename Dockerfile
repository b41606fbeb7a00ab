# The server alone, on a C library that the newest native WebSocket build loads on (Debian 13).
FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json ./
COPY bin bin
COPY proto proto
COPY src src
COPY test test
COPY bench bench
RUN npm run build

FROM node:24-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The WebSocket packages carry builds for every platform; only Linux's are of use here.
RUN npm ci --omit=dev \
 && find node_modules -name 'uws_*.node' ! -name 'uws_linux_*' -delete

FROM node:24-trixie-slim
ENV NODE_ENV=production DATADIR=/data
WORKDIR /app
RUN install -d -o node -g node /data
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist/app dist/app
COPY package.json LICENSE ./
COPY bin bin
COPY proto proto
COPY src/workers/notification-server/page src/workers/notification-server/page
USER node
VOLUME /data
# libp2p, PeerService, WebSocket, health, metrics
EXPOSE 9905 9904 9906 8000 9091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/health/liveness').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/teranode-p2p.mjs"]
CMD ["start"]
