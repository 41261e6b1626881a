#!/usr/bin/env bash
# Every check and test, in the order in which they fail fastest. `make test` sets up and calls this.
# Arguments are pytest's: `tests/run.sh -v` names each test as it ends, `tests/run.sh -n 4` shares them among four.
set -euo pipefail
cd "$(dirname "$0")/.."
RECSITE_VAR=$(mktemp -d "${TMPDIR:-/tmp}/recsite-test.XXXXXX")
export RECSITE_VAR
trap 'rm -rf "$RECSITE_VAR"' EXIT

export OMP_NUM_THREADS=1 # processes share the cores; threads of each on top would only wait for one another
unset PYTHONDONTWRITEBYTECODE # a hundred processes start; none compiles again what another has
pytest=(pytest -n 2 --dist loadfile)

step() { printf '\n== %s\n' "$*"; }

step "ruff: style and mistakes"
ruff check .
ruff format --check .
step "import-linter: who may import whom"
lint-imports
step "mypy: types"
mypy
step "manage.py check --deploy, as behind TLS"
HTTPS=1 ALLOWED_HOSTS=shop.example SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(64))') \
    python manage.py check --deploy --fail-level WARNING
step "migrations match the models"
python manage.py makemigrations --check --dry-run
step "pytest on SQLite"
"${pytest[@]}" "$@"
step "pytest on PostgreSQL: what touches the database"
python -m tests.postgres "${pytest[@]}" -m database "$@"
