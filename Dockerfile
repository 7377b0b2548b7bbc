# The command cnnmnist in an image:
#
#   docker build --tag cnnmnist .
#   docker build --tag cnnmnist:gpu --build-arg EXTRAS=gpu .
#   docker run --init --rm --volume "$PWD/runs:/data/runs" --volume mnist:/data/cache cnnmnist train
#
# docs/platforms.md explains the volumes, and says what of this was run.

FROM python:3.12-slim AS build
ARG EXTRAS=""
WORKDIR /source
COPY . .
RUN python -m venv /opt/cnnmnist \
    && /opt/cnnmnist/bin/pip install --no-cache-dir --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.12-slim
COPY --from=build /opt/cnnmnist /opt/cnnmnist
# Any user may write to the volumes, so that `docker run --user` works, too.
RUN useradd --create-home --uid 10001 cnnmnist \
    && install --directory --mode 1777 /data/cache /data/runs
ENV PATH="/opt/cnnmnist/bin:$PATH" \
    CNNMNIST_CACHE_DIR=/data/cache \
    CNNMNIST_RUNS_DIR=/data/runs \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
WORKDIR /data
VOLUME ["/data/cache", "/data/runs"]
ENTRYPOINT ["cnnmnist"]
CMD ["--help"]
