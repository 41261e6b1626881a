"""The web server: `python -m recsite.web [what granian takes] recsite.wsgi:application`.

Granian forks its processes. Here the site is loaded before, with the live model open, so that they share all of it that
none of them changes: four take little more memory than one. What is loaded is kept out of the garbage collector's
sight, which would look through it again and again, and write to each page as it does.
"""

import gc

from granian.cli import entrypoint

if __name__ == "__main__":
    import recsite.wsgi  # noqa: F401

    gc.collect()
    gc.freeze()
    entrypoint()
