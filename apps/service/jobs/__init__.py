"""Jobs: work that is left here and fetched when it is done. Imported with JOBS=on only, and by workers."""

from apps.service.jobs.job import Job, JobList, Owner, owner_of
from apps.service.jobs.jobs import Jobs

__all__ = ["Job", "JobList", "Jobs", "Owner", "owner_of"]
