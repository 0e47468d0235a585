#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
#
# get_it.sh SOURCE MACHINE GENERATOR WORK: what README.md says on how to get tidewait, done as it stands there, with a
# copy of SOURCE for the repository. MACHINE is the cache file of selftest/packaging.
set -euo pipefail

source=$1 machine=$2 work=$4
export CMAKE_GENERATOR=$3
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
rm -rf "$work"
mkdir -p "$work/repository"
export HOME=$work/home # and no configuration of git

# The repository, at the address of the blocks.
cp -r "$source"/*.md "$source"/{CMakeLists.txt,LICENSE,adapters,cmake,docs,examples,include,src} "$work/repository"
git -C "$work/repository" init --quiet --initial-branch=main
git -C "$work/repository" add .
git -C "$work/repository" -c user.name=test -c user.email=test@example.com commit --quiet --message=all
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$work/repository.insteadOf"
export GIT_CONFIG_VALUE_0=https://example.com/tidewait.git
# The command takes a minute to build: it is left out.
cmake() {
  if [[ $1 == -B ]]; then set -- "$@" -C "$machine" -D CMAKE_DISABLE_FIND_PACKAGE_CLI11=ON --no-warn-unused-cli; fi
  command cmake "$@"
}
cd "$work"

# [install]
git clone https://example.com/tidewait.git
cd tidewait
cmake -B build -D TIDEWAIT_DEVELOPER=OFF
cmake --build build --parallel 4
cmake --install build --prefix "$HOME/tidewait"
export PATH="$HOME/tidewait/bin:$PATH"
# [install]

cp -r "$source/examples/downstream" "$work"
cd "$work/downstream"
# [use]
cmake -B build -D CMAKE_PREFIX_PATH="$HOME/tidewait"
# [use]

mkdir "$work/fetch"
cd "$work/fetch"
cp "$here/fetch/CMakeLists.txt" "$source/examples/downstream/net_test.cpp" .
cmake -B build
