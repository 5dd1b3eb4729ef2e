"""Settings from the environment, as an app in a container has them."""
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "of a test"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
AUTH_USER_MODEL = os.environ.get("TEST_USER_MODEL", "auth.User")
if AUTH_USER_MODEL == "people.Person":
    INSTALLED_APPS.append("people")
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "default.sqlite3"},
    "second": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "second.sqlite3"},
}
# Fast, since tests look at it often.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
