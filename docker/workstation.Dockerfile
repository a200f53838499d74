# Everything without a robot: reconstruction, training and simulation, set up by the same `make setup` that users run.
#   docker build -f docker/workstation.Dockerfile -t videomimic-g1 .                       CPU: simulation on a laptop
#   docker build -f docker/workstation.Dockerfile --build-arg TORCH=cuda -t videomimic-g1:cuda .     training on a GPU
# CUDA's libraries come with torch's wheels; the host brings the driver (--gpus all). amd64 only: so are ROS 2's wheels.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE}

ARG TORCH=cpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential git libegl1 libgl1 libgles2 libosmesa6 make \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 user \
 && mkdir /work && chown user /work
USER 10001
WORKDIR /work
# the set-up's inputs first, so that a change of tests or of docker/ does not install everything anew
COPY --chown=user Makefile pyproject.toml ./
COPY --chown=user requirements requirements
COPY --chown=user src src
COPY --chown=user launch launch
RUN VM_TORCH=${TORCH} make setup && rm -rf ~/.cache/pip
COPY --chown=user docker docker
COPY --chown=user tests tests
# any user of the host may run it (compose.yaml: USER_ID), so nothing is written beside the sources
ENV PATH=/work/.venv/bin:$PATH OMP_NUM_THREADS=1 HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib
HEALTHCHECK --interval=30s --timeout=15s --start-period=90s --retries=3 CMD ["/work/docker/health.sh"]
ENTRYPOINT ["/work/docker/entrypoint.sh"]
CMD ["vm-doctor"]
