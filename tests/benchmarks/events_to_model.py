"""Events to live model: seconds and peak memory of each stage, on the shop in RECSITE_VAR.

    RECSITE_VAR=var/folio python -m tests.benchmarks.events_to_model --runs 3

Each run goes through the same service as a worker's, in this process, and is published like any other. Reported are
medians over the runs. Stop the site's worker first, or it may take the run.
"""

import argparse
import json
import os
import statistics

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsite.settings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()

    import django

    django.setup()
    from recommender.services import training

    seconds: dict[str, list[float]] = {}
    peak_mb: dict[str, list[float]] = {}
    for _ in range(options.runs):
        run = training.run(training.request(requested_by="benchmark", reason="events to model").pk)
        if run is None or run.error:
            raise SystemExit(f"The run did not end well: {run.error if run else 'another worker took it'}")
        for stage in run.stages:
            seconds.setdefault(stage["stage"], []).append(stage["seconds"])
            peak_mb.setdefault(stage["stage"], []).append(stage["peak_mb"])
    print(run.counts)
    rows = [(name, statistics.median(seconds[name]), max(peak_mb[name])) for name in seconds]
    for name, median_s, peak in rows:
        print(f"{name:10} {median_s:7.2f} s {peak:7.0f} MB")
    print(f"{'all':10} {sum(row[1] for row in rows):7.2f} s {max(row[2] for row in rows):7.0f} MB")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"counts": run.counts, "stages": rows}, file, indent=2)


if __name__ == "__main__":
    main()
