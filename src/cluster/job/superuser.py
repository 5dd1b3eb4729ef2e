# Makes sure that Django's first superuser exists. Run by "manage.py shell -c" in a clone of the app's container, on
# Django 3.2 and newer. Everything comes from the environment (SEALCTL_SUPERUSER_*); nothing of it is ever printed.
# Ends with 0 and one word in the termination message: created, exists, password-not-applied. Otherwise with 1.
# All of it stands in one function, since old Djangos run this text where functions do not see each other. No dollar
# sign, since Kubernetes replaces variables in commands.
def seald_superuser():
    import io
    import os
    import sys
    import time

    from django.contrib.auth import get_user_model
    from django.core.exceptions import ValidationError
    from django.core.management import call_command
    from django.db import DatabaseError, IntegrityError, connections, transaction

    prefix = "SEALCTL_SUPERUSER_"
    given = {name[len(prefix):]: text for name, text in os.environ.items() if name.startswith(prefix)}
    fields = {name[len("FIELD_"):]: text for name, text in given.items() if name.startswith("FIELD_")}
    database = given.get("DATABASE") or "default"
    model = get_user_model()
    manager = model._default_manager.db_manager(database)

    class Refused(Exception):
        """Its text is one of the constants below, perhaps with the name of a field, never a value."""

    def value_of(name):
        if name in fields:
            return fields[name]
        if name == getattr(model, "EMAIL_FIELD", "email") or name == "email":
            if "EMAIL" in given:
                return given["EMAIL"]
        if name in ("username", model.USERNAME_FIELD):
            return given.get("USERNAME")
        return None

    def is_migrated():
        try:
            call_command("migrate", check_unapplied=True, database=database, interactive=False, verbosity=0, stdout=io.StringIO(), stderr=io.StringIO())
        except SystemExit as end:
            return not end.code
        except DatabaseError:
            # The database is not there yet. A new connection next time.
            connections[database].close()
            return False
        return True

    def find(login):
        # As it was given, and as a manager may have stored it.
        spellings = [login]
        if hasattr(model, "normalize_username"):
            spellings.append(model.normalize_username(login))
        if hasattr(manager, "normalize_email") and "@" in login:
            spellings.append(manager.normalize_email(login))
        for spelling in dict.fromkeys(spellings):
            try:
                return manager.get_by_natural_key(spelling)
            except model.DoesNotExist:
                pass
        return None

    def clean(name, text):
        field = model._meta.get_field(name)
        if field.many_to_many:
            return [part.strip() for part in text.split(",") if part.strip()]
        try:
            return field.clean(text, None)
        except ValidationError:
            raise Refused("the value for the field " + name + " of the user model is not valid") from None

    def may_be_empty(name):
        field = model._meta.get_field(name)
        return field.blank and field.empty_strings_allowed

    def create(login, password):
        values = {model.USERNAME_FIELD: clean(model.USERNAME_FIELD, login)}
        for name in list(model.REQUIRED_FIELDS) + [name for name in fields if name not in model.REQUIRED_FIELDS]:
            if name == model.USERNAME_FIELD:
                continue
            text = value_of(name)
            if text is None and not may_be_empty(name):
                raise Refused("the field " + name + " of the user model is missing; give it in superuser.fields")
            values[name] = clean(name, text or "")
        with transaction.atomic(using=database):
            manager.create_superuser(password=password, **values)

    def keep(user, password):
        if not getattr(user, "is_superuser", True) or not getattr(user, "is_active", True):
            raise Refused("the login belongs to a user who is not an active superuser")
        if user.check_password(password):
            return "exists"
        if given.get("POLICY") != "reset-on-change":
            return "password-not-applied"
        user.set_password(password)
        user.save(using=database, update_fields=["password"])
        return "exists"

    def ensure():
        password = given.get("PASSWORD")
        if not password or password.endswith("\n"):
            raise Refused("the password is missing, empty or ends in a newline")
        login = value_of(model.USERNAME_FIELD)
        if not login or login.endswith("\n"):
            raise Refused("the login field of the user model is missing, empty or ends in a newline")
        while given.get("AFTER") == "migrated" and not is_migrated():
            time.sleep(2)
        user = find(login)
        if user is not None:
            return keep(user, password)
        try:
            create(login, password)
            return "created"
        except IntegrityError:
            # Somebody was faster, or another field is taken.
            user = find(login)
            if user is None:
                raise Refused("a user with another login has the same value of a unique field") from None
            return keep(user, password)

    try:
        word = ensure()
    except Refused as refusal:
        print("seald: no superuser: " + refusal.args[0], file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        # Only the type: the text of an error can quote a value.
        print("seald: no superuser: Django refused it (" + type(error).__name__ + ")", file=sys.stderr)
        sys.exit(1)
    try:
        with open(given.get("TERMINATION_LOG") or "/dev/termination-log", "w") as message:
            message.write(word)
    except OSError:
        # The superuser is there; without a word that is what seald assumes.
        pass


seald_superuser()
