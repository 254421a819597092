"""Jobs: work that is left here and fetched when it is done. Imported with JOBS=on only, and by workers."""

from apps.service.jobs.submission import Job, JobList, Jobs, Owner, Receiving, owner_of

__all__ = ["Job", "JobList", "Jobs", "Owner", "Receiving", "owner_of"]
