# One image; the command chooses the process: catalog, rotation, gateway, vm-agent, migrate.
FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim
# bash runs agents' scripts; tini reaps what they leave behind in the VM container.
RUN apt-get update && apt-get install --yes --no-install-recommends bash tini && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/murmur
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY --from=build /src/bin ./bin
ENV NODE_ENV=production
USER node
ENTRYPOINT ["tini", "--", "node"]
CMD ["dist/catalog.js"]
