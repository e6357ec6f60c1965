#!/bin/sh
# Every check of the contracts: format, build and lint, committed artifacts and vectors, unit, fuzz
# and invariant tests, gas, slither. Installs what it needs from npm and PyPI. Quiet about success.
set -eu
cd "$(dirname "$0")"
cache=${PROBITY_CACHE:-$HOME/.cache/probity}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# step NAME COMMAND...: its output is shown only when it fails.
step() {
  name=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "error: contracts: $name failed" >&2
    exit 1
  fi
  echo "contracts: $name ok"
}

# `npm install` from the lock, not `npm ci`: the lock lists the tools' binaries for the platforms
# that the registry had, and `npm ci` refuses a lock that lacks one it would not install anyway.
# Scripts stay off: the tools' wrappers find the binary of their platform's package by themselves.
install() {
  for folder in . ../bench/gas; do
    stamp=$folder/node_modules/.installed
    if ! cmp -s "$folder/package-lock.json" "$stamp"; then
      (cd "$folder" && npm install --no-save --ignore-scripts --no-audit --no-fund)
      cp "$folder/package-lock.json" "$stamp"
    fi
  done
}

# The analyser's environment is kept per user and made anew when the pins change.
slither() {
  venv=$cache/slither
  if ! cmp -s requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt "$venv/requirements.txt"
  fi
  # In folders of its own, made anew: the analyser takes every build-info it finds for current, and
  # `forge build` and `forge test` keep their incremental state.
  rm -rf cache/slither cache/slither-cache
  forge build --skip 'test/**' --build-info --out cache/slither --cache-path cache/slither-cache
  "$venv/bin/slither" . --ignore-compile --foundry-out-directory cache/slither \
    --filter-paths node_modules --fail-medium
}

step "npm packages" install
PATH=$PWD/node_modules/.bin:$PATH
step "forge fmt" forge fmt --check
step "artifacts" ./build --check
step "vectors" ./vectors.mjs --check
step "forge test" forge test
step "gas" ../bench/gas/run.mjs --check
step "slither" slither
