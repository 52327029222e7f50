# An image of gusher: docker build -t gusher . (docs/docker.md)

FROM node:22-bookworm-slim AS build
WORKDIR /opt/gusher
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run --silent build && find dist -name '*.map' -delete && npm prune --omit=dev --no-audit --no-fund

FROM node:22-bookworm-slim
COPY --from=build /opt/gusher/package.json /opt/gusher/package.json
COPY --from=build /opt/gusher/node_modules /opt/gusher/node_modules
COPY --from=build /opt/gusher/dist/src /opt/gusher/dist/src
RUN ln -s /opt/gusher/dist/src/primary/main.js /usr/local/bin/gusher \
    && install -d -o node -g node /var/lib/gusher
# Without Redis, apps are in this folder. Nothing else is written: the root file system can be read-only.
VOLUME /var/lib/gusher
WORKDIR /var/lib/gusher
USER node
ENV NODE_ENV=production GUSHER_LISTEN=:8000
EXPOSE 8000 8001
# The liveness check: a gusher without Redis is alive, and a restart would not help.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["node", "-e", "const port = (process.env.GUSHER_API_LISTEN ?? ':8001').split(':').at(-1); fetch(`http://127.0.0.1:${port}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1));"]
# gusher is process 1: it handles the signals and reaps its workers.
ENTRYPOINT ["gusher"]
CMD ["start"]
