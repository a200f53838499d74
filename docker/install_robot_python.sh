#!/usr/bin/env bash
# Installs what the nodes need from PyPI, in the versions of requirements/*.txt.
#   install_robot_python.sh REQUIREMENTS_FOLDER [PYTHON]
set -euo pipefail
requirements=$1
python=${2:-python3}
packages=$(dirname "$0")/robot_packages.txt
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
while IFS= read -r name; do
  [[ -z $name || $name == \#* ]] && continue
  [[ $name == *==* ]] && echo "$name" >>"$lock" && continue
  # a name is pinned once, or once a range of Python versions
  if ! grep -hE "^${name//./\\.}==" "$requirements"/base.txt "$requirements"/ros.txt >>"$lock"; then
    echo "error: $name is pinned in no file of $requirements" >&2
    exit 2
  fi
done <"$packages"
if [[ -n ${DRY_RUN:-} ]]; then cat "$lock"; exit; fi
exec env PIP_BREAK_SYSTEM_PACKAGES=1 "$python" -m pip install --no-cache-dir --no-deps --only-binary :all: -r "$lock"
