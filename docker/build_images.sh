#!/usr/bin/env bash
# Builds every image and starts each once, on any container host: what a CI job runs. Nothing is pushed.
#   docker/build_images.sh [PLATFORMS]      such as linux/amd64,linux/arm64 for the robot's images (needs buildx and QEMU)
set -euo pipefail
cd "$(dirname "$0")/.."
platforms=${1:-}

docker compose -f docker/compose.yaml --profile tools --profile robot config --quiet

for base in ros:jazzy-ros-base-noble ros:humble-ros-base-jammy; do
  image=videomimic-g1-robot:$(cut -d: -f2 <<<"$base" | cut -d- -f1)
  docker build -f docker/robot.Dockerfile --build-arg BASE="$base" -t "$image" .
  docker run --rm "$image" ros2 launch vm_policy_node g1.launch.py --show-args
  if [[ -n $platforms ]]; then
    docker buildx build --platform "$platforms" -f docker/robot.Dockerfile --build-arg BASE="$base" .
  fi
done

for torch in cpu cuda; do
  docker build -f docker/workstation.Dockerfile --build-arg TORCH="$torch" -t "videomimic-g1:$torch" .
  docker run --rm "videomimic-g1:$torch" vm-doctor
done
