"""Jobs on the page: those that a server has, and how far one of them is."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from ui import jobs, page, visit
from ui.answers import Failure
from ui.card import Card
from ui.job_result import duration, ended
from ui.jobs import Job, Pause
from ui.notices import plain, show
from ui.servers import Server
from ui.submission import Submission

EVERY = 1.0  # seconds, between two looks at a job
PATIENCE = 10  # seconds in which a job gets no further, before it is said what may be missing
MOST_LISTED = 10
SENT = "%d %b %H:%M:%S"
WORKER = "python -m apps.worker"
KEPT = "Jobs do not need this page, which looks again by itself."


def accepted(here: visit.Visit, submission: Submission) -> None:
    """Show the job that came of a file, and make room for the next file."""
    server, job = submission.server, submission.job
    here.watch(server, job).file = submission.file
    here.submission = None
    here.chosen[server.url] = st.session_state[chosen_key(server)] = st.session_state["accepted"] = job.id
    st.session_state["files sent"] = st.session_state.get("files sent", 0) + 1


def chosen_key(server: Server) -> str:
    return f"job {server.name}"


def show_jobs(server: Server, card: Card, listed: list[Job]) -> None:
    """The jobs that a server has of this caller, and one of them as it is now."""
    here, key = visit.current(), chosen_key(server)
    by_id = {job.id: job for job in listed}
    with st.container(key="panel-jobs"):
        st.header("Jobs", anchor=False)
        if len(listed) > 1:
            table(server, listed)
        if st.session_state.get(key) not in by_id:  # else it is left alone: what is set here goes to the
            # browser, and may come there after another job was chosen, in its place
            before = here.chosen.get(server.url)
            st.session_state[key] = before if before in by_id else listed[0].id
        label = f"One of the {len(listed)} that {server.name} has" if len(listed) > 1 else "The only one"
        titles = {job.id: title(server, job) for job in listed}
        job = by_id[st.selectbox(label, list(by_id), format_func=titles.__getitem__, key=key)]
        here.chosen[server.url] = job.id
        if failure := st.session_state.pop("cancel", None):
            show(failure)
    panel = f"panel-job-{job.id}"
    with st.container(key=panel):
        if st.session_state.get("accepted") == job.id:
            page.scroll_to(panel)
        if job.ended:
            ended(server, card, job)
        else:
            here.watch(server, job).pause = None  # the server has just answered
            watch(server, job)


def title(server: Server, job: Job) -> str:
    return f"{job.created_at:{SENT}} · {file_of(server, job)} · {job.rows:,} rows"


def file_of(server: Server, job: Job) -> str:
    """Its name, if this browser sent it; else how the job's id begins."""
    return visit.current().watch(server, job).file or job.id[:8]


def table(server: Server, listed: list[Job]) -> None:
    frame = pd.DataFrame(
        [
            (f"{job.created_at:{SENT}}", plain(file_of(server, job)), f"{job.rows:,}", job.state)
            for job in listed[:MOST_LISTED]
        ],
        columns=["sent", "file", "rows", "state"],
    )
    st.table(frame, hide_index=True, border="horizontal", alt="The latest jobs, and how each is")
    more = f" And {len(listed) - MOST_LISTED} earlier ones." if len(listed) > MOST_LISTED else ""
    st.caption(f"The latest first. A file that this browser did not send has the job's id for a name.{more}")


def not_listed(server: Server, failure: Failure, look: Callable[[], object], told: bool) -> None:
    """In the place of the jobs while the server does not give them: why, unless that was `told`; and if it
    may pass, the page looks again by itself."""
    with st.container(key="panel-jobs"):
        st.header("Jobs", anchor=False)
        if not told:
            show(failure)
        if failure.passes:
            look_again(server, failure, look)


def look_again(server: Server, failure: Failure, look: Callable[[], object]) -> None:
    """Draw the page anew as soon as `look` gives something else than a Failure."""
    visit.current().pauses[server.url] = Pause(failure)
    wait_for(server, look)


@st.fragment(run_every=EVERY)
def wait_for(server: Server, look: Callable[[], object]) -> None:
    pauses = visit.current().pauses
    if pauses[server.url].over:
        found = look()
        if not isinstance(found, Failure):
            st.rerun()
        pauses[server.url] = Pause(found)
    st.caption(KEPT)


@st.fragment(run_every=EVERY)
def watch(server: Server, listed: Job) -> None:
    """How far a job is. Only this part of the page is drawn again, until the job is in another state than it
    was when it was `listed`."""
    known = visit.current().watch(server, listed)
    if known.pause is None or known.pause.over:
        job = jobs.get(server, listed.id)
        known.pause = Pause(job) if isinstance(job, Failure) else None
    if known.pause:
        show(known.pause.failure)
        if known.pause.failure.passes:
            st.caption(KEPT)
        known.far = None  # nobody knows how far it gets meanwhile
        return
    if job.state != listed.state:
        st.rerun()
    stuck = known.look(job)
    st.header("Waiting for a worker" if job.state == "queued" else "At work", anchor=False)
    st.progress(job.rows_done / max(job.rows, 1), text=progress(job))
    st.button(
        "Cancel", icon=":material/cancel:", key=f"cancel {job.id}", on_click=cancel, args=(server, job.id)
    )
    if stuck > PATIENCE:
        no_worker(job, stuck)


def progress(job: Job) -> str:
    """For example "120,000 of 200,000 rows; done at 08:15:30, in about 12 seconds"."""
    text = f"{job.rows_done:,} of {job.rows:,} rows"
    if job.expected_at is None:
        return text
    left = job.expected_at - datetime.now().astimezone()
    return f"{text}; done at {job.expected_at:%H:%M:%S}, in about {duration(max(left, timedelta(seconds=1)))}"


def no_worker(job: Job, seconds: float) -> None:
    """A job that gets no further: what may be missing, and how to start it."""
    if job.state == "queued":
        what = f"No worker has taken this job in the {seconds:.0f} seconds that this page has looked."
        why = "One takes it when it has done what came before. If none runs, start one"
    else:
        what = f"The job has got no further for {seconds:.0f} seconds."
        why = "Its worker may have ended: another one goes on where it was. If none runs, start one"
    st.warning(
        f"**{what}**  \n{why} in a terminal, in the project's folder, with the settings of the server. "
        "The job is kept meanwhile.",
        icon=":material/hourglass_empty:",
    )
    st.code(WORKER, language=None, wrap_lines=True)


def cancel(server: Server, job_id: str) -> None:
    answer = jobs.cancel(server, job_id)
    if isinstance(answer, Failure):
        st.session_state["cancel"] = answer
