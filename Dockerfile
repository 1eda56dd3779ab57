# The image of the service; docs/deploy.md says how to build and run it.
#   target cpu (the default)   for docker-compose.yml
#   target gpu                 the same with a C compiler, for docker-compose.gpu.yml
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS builder
# The index of torch and torchvision. Empty: pip's own index, whose Linux wheels are the CUDA build.
# It runs on CPUs too, but is some gigabytes larger. An index of CPU wheels makes the image small.
ARG TORCH_INDEX=""
# A mirror of pip's own index for everything else. Put no credentials here: image history shows it.
ARG PIP_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_INPUT=1
# The environment keeps pip: `unirag models pull` fetches the models of profile mini with it.
RUN python -m venv /opt/unirag
ENV PATH=/opt/unirag/bin:$PATH
WORKDIR /src

# Install dependencies first, so that a change of our code rebuilds none of these gigabytes.
COPY pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *(d for e in ('ui', 'speech', 'mcp', 'parquet') for d in p['optional-dependencies'][e]), \
sep='\n')" > requirements.txt \
    && grep -E '^torch' requirements.txt > torch.txt \
    && if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" -r torch.txt; fi \
    && pip install -r requirements.txt

COPY README.md LICENSE ./
COPY data data
COPY generation generation
COPY kernels kernels
COPY retrieval retrieval
COPY ui ui
COPY unirag unirag
# Fail now, not at the first question, if a package or a file of ours is missing.
RUN pip install --no-deps . && pip check && unirag --help > /dev/null


FROM ${PYTHON_IMAGE} AS base
# No apt packages: the wheels need only libstdc++ and zlib, which the slim image has. Create the
# folders here, because new volumes copy their owner.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/unirag --shell /usr/sbin/nologin unirag \
    && install -d -o unirag -g unirag /var/lib/unirag /var/lib/unirag/home /var/lib/unirag/models
COPY --from=builder /opt/unirag /opt/unirag
# The root file system may be read-only, so caches go below /var/tmp. So do uploads and unpacked
# archives, which are too large for a /tmp in memory.
ENV PATH=/opt/unirag/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    UNIRAG_HOME=/var/lib/unirag/home \
    UNIRAG_MODELS=/var/lib/unirag/models \
    TMPDIR=/var/tmp \
    XDG_CACHE_HOME=/var/tmp/cache \
    HF_HOME=/var/tmp/huggingface \
    GRADIO_TEMP_DIR=/var/tmp/gradio \
    GRADIO_ANALYTICS_ENABLED=False \
    HF_HUB_DISABLE_TELEMETRY=1
WORKDIR /var/lib/unirag
USER 10001:10001
EXPOSE 8008
ENTRYPOINT ["unirag"]
# Any address but loopback needs UNIRAG_API_KEYS. Without keys the service says so and ends.
CMD ["serve", "--host", "0.0.0.0"]


FROM base AS gpu
# Triton compiles the launcher of a kernel with a C compiler when the kernel first runs.
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
ENV TRITON_CACHE_DIR=/var/tmp/triton
USER 10001:10001


FROM base AS cpu
