"""All settings, read from the environment. Bare, they run the shop on this machine: SQLite, var/ and localhost.

Every variable read here is described in docs/configuration.md; a test fails where one is missing there.
"""

import json
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
from celery.schedules import crontab
from django.core.management.utils import get_random_secret_key


def env_bool(name: str, default: bool) -> bool:
    return os.environ.get(name, str(default)).strip().lower() in {"1", "true", "yes", "on"}


def env_list(name: str, default: str) -> list[str]:
    return [part.strip() for part in (os.environ.get(name) or default).split(",") if part.strip()]


def env_number(name: str, default: float) -> float:
    try:
        return float(os.environ.get(name) or default)
    except ValueError:
        raise SystemExit(f"{name} must be a number, not {os.environ[name]!r}.") from None


def env_object(name: str) -> dict[str, Any]:
    try:
        value = json.loads(os.environ.get(name) or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SystemExit(f'{name} must be a JSON object such as {{"factors": 96}}, not {os.environ[name]!r}.')
    return value


BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("RECSITE_VAR") or BASE_DIR / "var").resolve()
try:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise SystemExit(f"The folder {VAR_DIR} cannot be made ({error.strerror}); set RECSITE_VAR to another.") from error


def secret_key() -> str:
    """The key from the environment, or one made once and kept in var/, so that sessions survive a restart."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = VAR_DIR / "secret.key"
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(get_random_secret_key())
    except FileExistsError:
        pass
    except OSError as error:
        raise SystemExit(f"{path} cannot be written ({error.strerror}); set RECSITE_VAR to another folder.") from error
    return path.read_text()


SECRET_KEY = secret_key()
DEBUG = env_bool("DEBUG", False)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", "")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "recommender.apps.RecommenderConfig",
    "recommender.storefront",
    "ninja",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "recommender.storefront.visitor.VisitorMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "recsite.urls"
WSGI_APPLICATION = "recsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "recommender" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "recommender.storefront.context.shop",
            ],
        },
    },
]

# Database: SQLite in WAL mode by default; DATABASE_URL switches to PostgreSQL without a code change.
DATABASE_URL = os.environ.get("DATABASE_URL") or f"sqlite:///{VAR_DIR / 'db.sqlite3'}"
try:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=600, conn_health_checks=True)}
except ValueError as error:  # its message may hold the password
    raise SystemExit("DATABASE_URL cannot be read; write it as postgres://user:password@host:5432/name.") from error
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Tests use a real file too, because a run's heartbeat writes from a thread of its own.
    DATABASES["default"]["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE takes the write lock at BEGIN, where waiting works, instead of failing at the first write.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;"
        "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=268435456;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "storefront:login"
LOGIN_REDIRECT_URL = "storefront:home"
LOGOUT_REDIRECT_URL = "storefront:home"

# What a web process takes on at once, see recsite/admission.py.
WEB_IN_WORK = int(env_number("WEB_IN_WORK", 4))
WEB_IN_LINE = int(env_number("WEB_IN_LINE", 20))
WEB_WAIT_MS = env_number("WEB_WAIT_MS", 50)
if WEB_IN_WORK < 1 or WEB_IN_LINE < 0 or WEB_WAIT_MS < 0:
    raise SystemExit("WEB_IN_WORK must be 1 or more, WEB_IN_LINE and WEB_WAIT_MS 0 or more.")

LANGUAGE_CODE = "en-gb"
TIME_ZONE = os.environ.get("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT", VAR_DIR / "static"))
MEDIA_URL = "media/"
MEDIA_ROOT = VAR_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # bytes; a batch of 1,000 events is about 250 kB
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # bytes

# Behind TLS, set HTTPS=1: secure cookies, HSTS and the redirect. `manage.py check --deploy` is then clean.
HTTPS = env_bool("HTTPS", False)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health$"]  # asked from inside, past the proxy that speaks TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"

# Celery. A message is acknowledged once its task is done, and kombu delivers again what a killed worker held, which
# takes all three options below. Training does not wait for that: the sweep finds a lost run by its row in a minute.
REDIS_URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
TRAIN_TIME_LIMIT_S = int(env_number("TRAIN_TIME_LIMIT_S", 4 * 3600))
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": TRAIN_TIME_LIMIT_S + 600,  # seconds, above the longest task
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    # Seconds. A web request that enqueues must not hang on a frozen broker.
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    "max_retries": 0,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "recommender.tasks.train": {"queue": "train"},
    "recommender.tasks.judge": {"queue": "encode"},
    "recommender.tasks.learn_words": {"queue": "encode"},
    "recommender.tasks.screen": {"queue": "encode"},
    "recommender.tasks.encode": {"queue": "encode"},  # so that a new item does not wait for a long training
}
CELERY_TASK_SOFT_TIME_LIMIT = 300
CELERY_TASK_TIME_LIMIT = 360
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
RETRAIN_AT = os.environ.get("RETRAIN_AT", "03:30")
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "recommender.tasks.sweep", "schedule": 15.0, "options": {"expires": 15}},
    "judge": {"task": "recommender.tasks.judge", "schedule": 60.0, "options": {"expires": 60}},
    "alert": {"task": "recommender.tasks.alert", "schedule": 60.0, "options": {"expires": 60}},
    "watch": {"task": "recommender.tasks.watch", "schedule": 60.0, "options": {"expires": 60}},
    "trends": {"task": "recommender.tasks.trends", "schedule": 60.0, "options": {"expires": 60}},
    "prune": {"task": "recommender.tasks.prune", "schedule": 3600.0, "options": {"expires": 3600}},
    "learn-words": {"task": "recommender.tasks.learn_words", "schedule": 300.0, "options": {"expires": 300}},
}
if RETRAIN_AT:
    try:
        hour, minute = map(int, RETRAIN_AT.split(":"))
        retrain_at = crontab(hour=hour, minute=minute)
    except ValueError:
        raise SystemExit(f"RETRAIN_AT must be a time such as 03:30, or empty, not {RETRAIN_AT!r}.") from None
    CELERY_BEAT_SCHEDULE["retrain"] = {
        "task": "recommender.tasks.retrain",
        "schedule": retrain_at,
        "options": {"expires": 3600},
    }

# Counts of the rules in the request path. Bare, each process counts for itself; tests do so too.
CACHES = {
    "default": {"BACKEND": "recsite.cache.QuickRedis", "LOCATION": REDIS_URL, "KEY_PREFIX": "recsite"}
    if os.environ.get("REDIS_URL")
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}
}

# Mail, for alerts. Nothing is sent until EMAIL_URL says how; `console:` prints it.
EMAIL_URL = os.environ.get("EMAIL_URL", "")
try:
    mail = urlsplit(EMAIL_URL or "console:")
    if mail.scheme not in ("smtp", "smtps", "console") or (mail.scheme != "console" and not mail.hostname):
        raise ValueError
    EMAIL_PORT = mail.port or (465 if mail.scheme == "smtps" else 587)
except ValueError:  # its message may hold the password
    raise SystemExit(
        "EMAIL_URL cannot be read; write it as smtp://user:password@mail.example:587, smtps:// or console:."
    ) from None
EMAIL_BACKEND = f"django.core.mail.backends.{'console' if mail.scheme == 'console' else 'smtp'}.EmailBackend"
EMAIL_HOST = mail.hostname or "localhost"
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(mail.username or ""), unquote(mail.password or "")
EMAIL_USE_SSL = mail.scheme == "smtps"
EMAIL_USE_TLS = mail.scheme == "smtp" and "tls=0" not in mail.query
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM") or "recsite@localhost"

ENCODERS: dict[str, Any] = {
    "text": {"name": "minilm"},
    "image": {"name": "contrastive"},
    "audio": {"name": "contrastive"},
}
RECOMMENDER = {
    "shop_name": os.environ.get("SHOP_NAME", "Folio"),
    "shop_tagline": os.environ.get("SHOP_TAGLINE", "Books, prints and records"),
    "currency": os.environ.get("CURRENCY", "GBP"),
    "artifacts_dir": VAR_DIR / "artifacts",
    "trainer": os.environ.get("TRAINER", "als"),
    "trainer_config": env_object("TRAINER_CONFIG"),
    "device": os.environ.get("DEVICE", "auto"),
    "assistant": env_object("ASSISTANT"),
    "screening": env_object("SCREENING"),
    "guard": env_object("GUARD"),
    "alerts": env_object("ALERTS"),
    "serving": env_object("SERVING"),
    "index": os.environ.get("INDEX", "auto"),
    "threads": int(env_number("TRAIN_THREADS", os.cpu_count() or 1)),
    "half_life_days": env_number("HALF_LIFE_DAYS", 180),
    "encoders": {**ENCODERS, **env_object("ENCODERS")},
    "auto_publish": env_bool("AUTO_PUBLISH", True),
}


def one_line(record: logging.LogRecord) -> bool:
    """A forged Host, a page that is not for everybody or a busy database is one line: the fault is not in our code."""
    if record.name.startswith("django.") and getattr(record, "status_code", 500) != 500:
        record.exc_info = None
    return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {
        "one_line": {"()": "django.utils.log.CallbackFilter", "callback": one_line},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["one_line"]}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "gensim": {"level": "ERROR"},  # it tells of each of its epochs, in four lines
    },
}
