"""No Docker engine runs here, so the files are held against the code: programs, modules, variables, paths, queues."""

import re
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from recsite import celery_app
from tests.test_configuration import variables

ROOT = Path(__file__).parent.parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("recsite-")}


def commands() -> list[list[str]]:
    images = [yaml.safe_load(found) for found in re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)]
    return [*images, *(service["command"] for service in OURS.values() if "command" in service)]


def is_web(command: list[str]) -> bool:
    return command[:3] == ["python", "-m", "recsite.web"]


def test_compose_has_the_whole_site():
    assert {"web", "worker", "trainer", "beat", "redis", "postgres", "migrate"} == set(SERVICES)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_exists(command):
    program = command[0]
    assert shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if program == "python":
        assert find_spec(command[2]) if command[1] == "-m" else (ROOT / command[1]).exists()
    if program == "celery":
        assert find_spec(command[command.index("--app") + 1])
    if is_web(command):
        module, _, attribute = command[-1].partition(":")
        assert hasattr(__import__(module, fromlist=[attribute]), attribute)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_option_is_one_the_program_knows(command):
    options = [part for part in command if part.startswith("--") and part != "--noinput"]
    if is_web(command):
        from granian.cli import cli

        known = {option for parameter in cli.params for option in (*parameter.opts, *parameter.secondary_opts)}
    elif command[0] == "celery":
        from celery.bin.celery import celery

        chosen = celery.commands[next(part for part in command if part in ("worker", "beat"))]
        known = {option for group in (celery, chosen) for parameter in group.params for option in parameter.opts}
    else:
        return
    assert not [option for option in options if option not in known]


def test_every_queue_has_a_worker():
    served = set()
    for service in OURS.values():
        if "--queues" in service.get("command", []):
            served |= set(service["command"][service["command"].index("--queues") + 1].split(","))
    routed = {route["queue"] for route in celery_app.conf.task_routes.values()}
    assert served == routed | {celery_app.conf.task_default_queue}


def test_every_variable_is_one_the_settings_read():
    named = {name for service in OURS.values() for name in service.get("environment", {})}
    named |= set(re.findall(r"^([A-Z_]+)=", (ROOT / "docker/.env.example").read_text(), re.MULTILINE))
    assert named - {"POSTGRES_PASSWORD"} <= variables()


def test_secrets_have_no_default():
    example = dict(
        line.split("=", 1) for line in (ROOT / "docker/.env.example").read_text().splitlines() if "=" in line
    )
    assert example["SECRET_KEY"] == example["POSTGRES_PASSWORD"] == ""


def test_copied_paths_exist():
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in shlex.split(line)[:-1]
    ]
    assert copied
    assert not [source for source in copied if not (ROOT / source).exists()]


def test_images_run_as_an_ordinary_user():
    final = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    for target in ("web", "worker"):
        [stage] = [part for part in final if part.startswith(f"base AS {target}\n")]
        assert "USER recsite" in stage


def test_web_image_has_no_torch():
    web = (ROOT / "requirements-web.txt").read_text()
    assert "torch" not in re.findall(r"^([a-z0-9-]+)", web, re.MULTILINE)
    assert "implicit" not in re.findall(r"^([a-z0-9-]+)", web, re.MULTILINE)
    [stage] = [part for part in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE) if part.startswith("base AS web\n")]
    assert "web-packages" in stage
    assert "worker-packages" not in stage


def test_dependencies_are_services():
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_requirements_are_pinned():
    for name in ("", "-web", "-dev", "-benchmarks", "-peers"):
        for line in (ROOT / f"requirements{name}.txt").read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert "==" in line, f"requirements{name}.txt: {line}"
