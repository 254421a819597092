"""Jobs: work that is left here and fetched when it is done. Imported with JOBS=on only, and by workers."""

from apps.service.jobs.submission import Job, Jobs, Owner, Receiving

__all__ = ["Job", "Jobs", "Owner", "Receiving"]
