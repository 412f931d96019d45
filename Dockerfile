# Headrace's image: `docker build -t headrace .` needs this folder and the npm registry. docs/docker.md says how to use it.

FROM node:24-slim AS builder
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts only fetch servers and tools for development.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
# The command is run by its first line, with the flags that stand there.
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

# The demo's data and what follows it: for docker-compose.yml's profile demo only.
FROM builder AS demo
COPY dev dev
USER node
ENTRYPOINT ["node", "dev/demo/docker.ts"]

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=builder /app/dist dist
USER node
# Where headrace.yaml is mounted.
WORKDIR /etc/headrace
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "/app/dist/cli/healthcheck.js"]
# env replaces itself by node, so that node is process 1 and gets SIGTERM.
ENTRYPOINT ["/app/dist/cli/main.js"]
CMD ["--help"]
