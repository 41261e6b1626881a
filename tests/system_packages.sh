#!/usr/bin/env bash
# Install what the tests need beyond Python: Chromium (journeys) and PostgreSQL (the second database).
# As root on Debian or Ubuntu they are installed; elsewhere this says which tests will be skipped.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]} ..."
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
        exit 0
    fi
    echo "apt-get could not install ${missing[*]}." >&2
fi
for package in "${missing[@]}"; do
    case $package in
        chromium) echo "No Chromium here: the journeys in tests/journeys will be skipped. Install chromium to run them." ;;
        postgresql) echo "No PostgreSQL here: tests run on SQLite only. Install postgresql to run them on both." ;;
    esac
done
