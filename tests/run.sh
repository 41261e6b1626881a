#!/usr/bin/env bash
# Every check and test, in the order in which they fail fastest. `make test` sets up and calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
RECSITE_VAR=$(mktemp -d "${TMPDIR:-/tmp}/recsite-test.XXXXXX")
export RECSITE_VAR
trap 'rm -rf "$RECSITE_VAR"' EXIT

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
pytest "$@"
step "pytest on PostgreSQL: what touches the database"
python -m tests.postgres pytest -m database "$@"
