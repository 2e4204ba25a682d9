# Debian 12 and its own Python, as everywhere in this project.
FROM debian:bookworm-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv
WORKDIR /src

# The locked dependencies first: they change less often than the code.
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /opt/gateway \
    && /opt/gateway/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements.lock \
    && python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements-build.lock

COPY . .
RUN /opt/build/bin/python -m hatchling build -t wheel -d /dist \
    && /opt/gateway/bin/pip install --no-deps --no-index /dist/*.whl


FROM debian:bookworm-slim
# Writes to its volume alone: run it read-only and without capabilities, as deploy/compose.yaml does.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 8700 gateway \
    && useradd --system --uid 8700 --gid 8700 --home-dir /srv/gateway --shell /usr/sbin/nologin gateway \
    && install -d -o gateway -g gateway /srv/gateway \
    && install -d -m 0700 -o gateway -g gateway /srv/gateway/var
COPY --from=build /opt/gateway /opt/gateway
COPY mappings /srv/gateway/mappings
COPY config /srv/gateway/config

ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/gateway
USER 8700:8700
VOLUME /srv/gateway/var
EXPOSE 8700
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["gru-gateway", "health"]
ENTRYPOINT ["gru-gateway"]
CMD ["serve"]
