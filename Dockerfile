# Headrace's image. `docker build -t headrace .` needs this folder and the npm registry. How to use it: docs/docker.md.

FROM node:24-slim AS builder
WORKDIR /app
COPY package.json package-lock.json ./
# The dependencies' install scripts only fetch servers and tools for development.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
# main.js is executable and its first line sets Node's flags: the entry point below runs it directly.
RUN npm run build

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

# Loads the demo's data and shows the rows arriving; used only by the profile demo of docker-compose.yml.
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
# Mount headrace.yaml here.
WORKDIR /etc/headrace
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "/app/dist/cli/healthcheck.js"]
# The first line of main.js starts env, which becomes node. So node is process 1 and gets SIGTERM.
ENTRYPOINT ["/app/dist/cli/main.js"]
CMD ["--help"]
