#!/usr/bin/env python
"""Django's command line for recsite."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit("Django is not installed here. Run `make run`, or activate .venv first.") from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
