# syntax=docker/dockerfile:1
# medloupe as a service: docker build -t medloupe . ; how to run it stands in docs/deploy.md.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build
RUN python -m venv /opt/medloupe
# What medloupe needs comes first and by itself, in the tested versions: this layer is made again only when these change.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib as t; p = t.load(open('pyproject.toml', 'rb'))['project']; e = p['optional-dependencies']; print(*p['dependencies'], *e['postgres'], *e['s3'], *e['otel'], *e['dicom'], sep='\n')" > requirements.txt \
    && /opt/medloupe/bin/pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE NOTICE ./
COPY src src
COPY scripts/web_runtime.py scripts/
# What answers in browsers without a server; an image built without a network lacks it, and its page says so.
RUN /opt/medloupe/bin/python scripts/web_runtime.py || echo "onnxruntime-web was not taken"
RUN /opt/medloupe/bin/pip wheel --no-cache-dir --no-deps --wheel-dir wheels . \
    && /opt/medloupe/bin/pip install --no-cache-dir --no-deps wheels/medloupe-*.whl \
    && /opt/medloupe/bin/python -m compileall -q /opt/medloupe/lib

FROM ${BASE}
RUN groupadd --gid 10001 medloupe \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin medloupe \
    && install -d -o medloupe -g medloupe -m 0700 /data
COPY --from=build /opt/medloupe /opt/medloupe
ENV PATH=/opt/medloupe/bin:$PATH MEDLOUPE_HOME=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["medloupe"]
CMD ["serve", "--host", "0.0.0.0"]
