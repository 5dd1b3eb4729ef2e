"""The usual manage.py of a Django project, of which the superuser Job knows nothing but the path."""
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_under_test.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
