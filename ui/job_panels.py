"""Jobs on the page: a file on its way, how far a job is, what came of it, and those of before."""

import time
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from ui import book, charts, downloads, jobs, page, sign_in, tally, transport, visit
from ui.answers import Failure
from ui.card import Card
from ui.jobs import Job
from ui.notices import plain, show
from ui.prediction import number, percent, shown
from ui.servers import Server
from ui.submission import Submission

EVERY = 1.0  # seconds, between two looks at a job
PATIENCE = 10  # seconds in which a job gets no further, before it is said what may be missing
MOST_LISTED = 10
SENT = "%d %b %H:%M:%S"
WORKER = "python -m apps.worker"


def accepted(here: visit.Visit, submission: Submission) -> None:
    """Show the job that came of a file, and make room for the next file."""
    server, job = submission.server, submission.job
    here.watch(server, job).file = submission.file
    here.submission = None
    here.chosen[server.url] = st.session_state[chosen_key(server)] = st.session_state["accepted"] = job.id
    st.session_state["files sent"] = st.session_state.get("files sent", 0) + 1


@st.fragment(run_every=0.5)
def watch_submission(submission: Submission) -> None:
    """How much of a file has gone to the server."""
    if not submission.is_alive():
        st.rerun()
    sent, size = submission.sent, submission.size
    text = f"{plain(submission.file)}: {megabytes(sent)} of {megabytes(size)} sent"
    if sent == size:
        text += f"; {submission.server.name} checks the last rows"
    st.progress(sent / max(size, 1), text=text)
    st.button("Stop", icon=":material/stop:", on_click=submission.end, key="stop sending")


def not_accepted(submission: Submission) -> None:
    """Why a file has not become a job."""
    if submission.stopped:
        st.info(f"**Stopped.** {submission.server.name} forgets what has come of the file.")
        return
    if submission.failure:
        show(submission.failure)
    if submission.faults:
        st.header("Lines to put right", anchor=False)
        frame = pd.DataFrame(
            [(fault.line, plain(fault.column), plain(fault.message)) for fault in submission.faults],
            columns=["line", "column", "what is wrong there"],
        )
        st.table(frame, hide_index=True, border="horizontal", alt="The lines that were refused, and why")
        st.caption("No row was accepted. Put these lines right, and choose the file again.")
    elif submission.failure and not submission.failure.problem:
        st.caption("Nothing is lost by sending it again: the same file, sent twice, is one job.")


def how_to_get_jobs(server: Server) -> None:
    with st.expander("Larger files, up to a million rows"):
        st.markdown(
            f"They are sent as jobs, and {server.name} has none. `python kit.py up` starts both servers with "
            "jobs, and a worker for them. By hand, the full server, with the setting `JOBS`:"
        )
        bash, powershell = server.start * 2 if len(server.start) == 1 else server.start
        st.caption("macOS, Linux:")
        st.code(f"JOBS=on {bash}", language=None, wrap_lines=True)
        st.caption("PowerShell:")
        st.code(f'$env:JOBS = "on"; {powershell}', language=None, wrap_lines=True)
        st.caption("And the worker, in another terminal:")
        st.code(WORKER, language=None, wrap_lines=True)


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
        before = st.session_state.get(key, here.chosen.get(server.url))
        st.session_state[key] = before if before in by_id else listed[0].id
        label = f"One of the {len(listed)} that {server.name} has" if len(listed) > 1 else "The only one"
        titles = {job.id: title(server, job) for job in listed}
        job = by_id[st.selectbox(label, list(by_id), format_func=titles.__getitem__, key=key)]
        here.chosen[server.url] = job.id
        if failure := st.session_state.pop("cancel", None):
            show(failure)
    with st.container(key="panel-job"):
        if st.session_state.pop("accepted", None) == job.id:
            page.scroll_to("panel-job")
        if job.ended:
            ended(server, card, job)
        else:
            watch(server, job)


def title(server: Server, job: Job) -> str:
    file = visit.current().watch(server, job).file
    return " · ".join(filter(None, (f"{job.created_at:{SENT}}", file, f"{job.rows:,} rows")))


def table(server: Server, listed: list[Job]) -> None:
    here = visit.current()
    frame = pd.DataFrame(
        [
            (f"{job.created_at:{SENT}}", plain(here.watch(server, job).file), f"{job.rows:,}", job.state)
            for job in listed[:MOST_LISTED]
        ],
        columns=["sent", "file", "rows", "state"],
    )
    st.table(frame, hide_index=True, border="horizontal", alt="The latest jobs, and how each is")
    more = f" And {len(listed) - MOST_LISTED} earlier ones." if len(listed) > MOST_LISTED else ""
    st.caption(f"The latest first; files are named where this browser sent them.{more}")


@st.fragment(run_every=EVERY)
def watch(server: Server, listed: Job) -> None:
    """How far a job is. Only this part of the page is drawn again, until the job is in another state than it
    was when it was `listed`."""
    known = visit.current().watch(server, listed)
    waits = known.refused is not None and time.monotonic() < known.until
    job = known.refused if waits else jobs.get(server, listed.id)
    if isinstance(job, Failure):
        if not waits:
            known.refused, known.until = job, time.monotonic() + wait(job)
        show(job)
        if job.problem is None or job.problem.slug != "unknown-job":
            st.caption("The job does not need this page, which looks again by itself.")
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


def wait(failure: Failure) -> float:
    """Seconds in which a server is not to be asked again."""
    text = failure.exchange.headers.get("retry-after", "") if failure.exchange else ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 2 * EVERY


def cancel(server: Server, job_id: str) -> None:
    answer = jobs.cancel(server, job_id)
    if isinstance(answer, Failure):
        st.session_state["cancel"] = answer


def ended(server: Server, card: Card, job: Job) -> None:
    """What came of a job: its answers to download, and what they are."""
    if job.state == "cancelled":
        st.header("Cancelled", anchor=False)
        st.caption(f"{job.rows_done:,} of {job.rows:,} rows were done, and are not kept. {times(job)}")
        return
    if job.state == "failed":
        st.header("The job failed", anchor=False)
        st.warning(
            f"**{plain(job.error) or 'The server does not say why.'}**  \n"
            "No answers are kept. Put right what it names, and send the file again.",
            icon=":material/error:",
        )
        if book.troubleshooting():
            st.markdown(f"[More on what can go wrong]({book.troubleshooting()})")
        st.caption(times(job))
        return
    st.header(f"{job.rows:,} of {job.rows:,} rows predicted", anchor=False)
    st.caption(times(job))
    with st.container(horizontal=True, gap="small"):
        for kind in ("csv", "json"):
            label = f"Download as {kind.upper()}"
            st.link_button(label, address(server, job, kind), icon=":material/download:")
    read(server, card, job)


def times(job: Job) -> str:
    """When it was sent, how long it took, and by which model it was predicted."""
    said = [f"Sent at {job.created_at:%H:%M:%S}"]
    if job.finished_at:
        took = job.finished_at - (job.started_at or job.created_at)
        said.append(f"ended at {job.finished_at:%H:%M:%S}")
        if job.started_at:
            waited = job.started_at - job.created_at
            said.append(f"waited {duration(waited)}, took {duration(took)}")
            if job.state == "succeeded" and took.total_seconds() > 0:
                said.append(f"{job.rows / took.total_seconds():,.0f} rows a second")
    return f"{', '.join(said)}. Model: {plain(job.model)}, as it was when the file was sent."


def address(server: Server, job: Job, kind: str) -> str:
    """Where a browser finds the answers: at the server, or through this page where that asks who comes."""
    path = f"{job.path}/result.{kind}"
    signed = sign_in.current()
    if not signed.means(server):
        return server.public_url + path
    here = visit.current()
    name = f"predictions-{job.id[:8]}.{kind}"
    return downloads.offer(downloads.Ticket(here.name, server, path, name, signed))


def read(server: Server, card: Card, job: Job) -> None:
    """What the answers are: of their beginning, or, when asked, of all."""
    known, place = visit.current().watch(server, job), st.empty()
    if known.tally is None:
        count(server, card, job, tally.BEGINNING)
    if known.tally is None:
        return
    if not known.tally.whole:
        st.caption(
            f"What follows is of the first {known.tally.rows:,} answers. If the file is in some order, the "
            "others may differ."
        )
        if st.button("Count all of them", icon=":material/functions:"):
            with place:
                count(server, card, job, None)
            st.rerun()
    found = known.tally
    part = "all" if found.whole else "the first"
    chart, figures = st.columns([3, 2], gap="medium")
    with chart:
        st.header(f"What {part} {found.rows:,} answers are", anchor=False)
        alt = "How often each answer came; the table has the figures."
        if found.classes:
            st.altair_chart(charts.shares(found.classes, server), width="stretch", alt=alt)
        else:
            st.altair_chart(charts.spread(found.numbers, server), width="stretch", alt=alt)
    with figures:
        st.header("Figures", anchor=False)
        if found.classes:
            frame = pd.DataFrame(classes(found), columns=["answer", "rows", "share"])
        else:
            frame = pd.DataFrame(quartiles(found), columns=["of the answers", "value"])
        st.table(frame, hide_index=True, border="horizontal", alt="How often each answer came")
    st.header(f"The first {len(found.first)} answers", anchor=False)
    st.dataframe(pd.DataFrame(found.first, columns=found.head), hide_index=True, height=280)


def count(server: Server, card: Card, job: Job, most: int | None) -> None:
    """Read the answers, at most so many bytes of them, in pieces; what they are is kept in the visit."""
    pieces = transport.pieces(server, f"{job.path}/result.csv", sign_in.current().credential(server))
    bar = st.progress(0.0, text="Reading the answers")
    found = None
    try:
        for found in tally.count(pieces, bool(card.classes), most):
            bar.progress(min(found.rows / max(job.rows, 1), 1.0), text=f"{found.rows:,} answers read")
        visit.current().watch(server, job).tally = found
    except transport.Broken as broken:
        show(broken.failure)
    except ValueError as error:
        st.warning(f"**The answers cannot be read here: {error}.** Download them.", icon=":material/error:")
    finally:
        pieces.close()
        bar.empty()


def classes(found: tally.Tally) -> list[tuple[str, str, str]]:
    return [
        (plain(shown(name)), f"{rows:,}", percent(rows / max(found.rows, 1), 1))
        for name, rows in found.classes.most_common(20)
    ]


def quartiles(found: tally.Tally) -> list[tuple[str, str]]:
    ordered = sorted(found.numbers)
    names = ("smallest", "a quarter is below", "half is below", "three quarters are below", "greatest")
    last = len(ordered) - 1
    return [(name, number(ordered[round(last * index / 4)])) for index, name in enumerate(names)]


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"


def duration(span: timedelta) -> str:
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} seconds"
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
