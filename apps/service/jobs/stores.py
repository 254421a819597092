"""Where jobs and their results are, as the settings say."""

from pathlib import Path

from apps.service.databases import DatabaseError
from apps.service.jobs.records import Database, Unavailable
from apps.service.jobs.results import DatabaseResults, RedisResults, Results
from apps.service.settings import SettingsError


def stores_of(settings, log, durable: bool = True) -> tuple[Database, Results]:
    """The database of jobs, with its tables, and where results are. Raises SettingsError."""
    folder = Path(settings.jobs_folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database_url, folder, log, durable)
        database.create_tables()
    except DatabaseError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    except OSError as error:
        raise SettingsError(f"JOBS_FOLDER: {folder} cannot be used ({error.strerror})") from None
    except Unavailable as error:
        name = "DATABASE_URL" if settings.database_url else "JOBS_FOLDER"
        raise SettingsError(f"{name}: the database cannot be used ({error.error})") from None
    if settings.results_url:
        return database, RedisResults(settings.results_url, settings.jobs_keep_seconds)
    return database, DatabaseResults(database)
