# One image per service: `docker build --target ingest|transform|scoring .`. The command chooses the role (API, worker,
# sweeper, migration); docker-compose.yml shows them all. An image holds its own service and `shared`, and no compiler,
# test, development tool or model. Builds with and without BuildKit.

FROM python:3.11-slim-bookworm AS python
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PATH=/opt/venv/bin:$PATH

# --- what every service is built with; none of it stays in an image ---
FROM python AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/venv

FROM python AS base-app
COPY pyproject.toml docker/write_metadata.py /build/
RUN python /build/write_metadata.py /build/pyproject.toml /app
COPY docker/healthcheck.py /app/
COPY services/__init__.py /app/services/
COPY shared/ /app/shared/
COPY docs/problems.md /app/docs/

FROM builder AS build-ingest
COPY requirements/ingest.txt /build/requirements.txt
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /build/requirements.txt
COPY --from=base-app /app /app
COPY services/ingest/ /app/services/ingest/
COPY config/sources/ /app/config/sources/
RUN python -m compileall -q /app && chmod -R u=rwX,go=rX /app

FROM builder AS build-transform
COPY requirements/transform.txt /build/requirements.txt
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /build/requirements.txt
COPY --from=base-app /app /app
COPY services/transform/ /app/services/transform/
COPY config/scoring_weights.yml /app/config/
COPY dbt_transform/ /app/dbt_transform/
RUN python -m compileall -q /app && chmod -R u=rwX,go=rX /app

FROM builder AS build-scoring
COPY requirements/scoring.txt /build/requirements.txt
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /build/requirements.txt
COPY --from=base-app /app /app
COPY services/scoring/ /app/services/scoring/
RUN python -m compileall -q /app && chmod -R u=rwX,go=rX /app

# --- what every service runs on ---
FROM python AS runtime
# A fixed uid: volumes keep their owner from one image to the next. HOME is where libraries put their caches.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin gtm \
    && install --directory --owner=gtm --group=gtm --mode=0750 /var/lib/gtm
ENV HOME=/tmp \
    GTM_DATA_DIR=/var/lib/gtm \
    GTM_FILES_ROOTS=/srv/files
WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 CMD ["python", "-I", "/app/healthcheck.py"]
ARG GTM_VERSION=0.0.0
ARG GTM_REVISION=unknown
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$GTM_VERSION" \
      org.opencontainers.image.revision="$GTM_REVISION"

FROM runtime AS ingest
COPY --from=build-ingest /opt/venv /opt/venv
COPY --from=build-ingest /app /app
LABEL org.opencontainers.image.title="fleet-gtm-ingest" \
      org.opencontainers.image.description="Fleet GTM: lands the records of CRMs and files"
CMD ["uvicorn", "services.ingest.api:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "8"]

FROM runtime AS transform
COPY --from=build-transform /opt/venv /opt/venv
COPY --from=build-transform /app /app
LABEL org.opencontainers.image.title="fleet-gtm-transform" \
      org.opencontainers.image.description="Fleet GTM: builds and tests the marts"
CMD ["uvicorn", "services.transform.api:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "8"]

FROM runtime AS scoring
COPY --from=build-scoring /opt/venv /opt/venv
COPY --from=build-scoring /app /app
LABEL org.opencontainers.image.title="fleet-gtm-scoring" \
      org.opencontainers.image.description="Fleet GTM: scores and explains leads"
CMD ["uvicorn", "services.scoring.api:app", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "8"]

# --- Celery's broker, with its settings and users, and without root. 7.2 is the last release under the BSD licence ---
FROM redis:7.2-bookworm AS redis
RUN install --directory --owner=redis --group=redis --mode=0750 /data
COPY docker/redis.conf docker/redis_users.acl docker/start_redis.sh /etc/gtm/
RUN chmod 0755 /etc/gtm /etc/gtm/start_redis.sh && chmod 0644 /etc/gtm/redis.conf /etc/gtm/redis_users.acl
USER redis
WORKDIR /data
# Redis refuses a PING while it loads its file, and when it can't write it any more: a full disk shows here.
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 \
    CMD REDISCLI_AUTH="$(cat /run/secrets/redis_producer_password)" redis-cli --user producer ping | grep -q PONG
ARG GTM_VERSION=0.0.0
ARG GTM_REVISION=unknown
LABEL org.opencontainers.image.title="fleet-gtm-redis" \
      org.opencontainers.image.description="Fleet GTM: Redis as Celery's broker, with its settings and users" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="$GTM_VERSION" \
      org.opencontainers.image.revision="$GTM_REVISION"
CMD ["/etc/gtm/start_redis.sh"]
