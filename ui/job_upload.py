"""A file on its way to become a job, why it has not become one, and where there are no jobs."""

import pandas as pd
import streamlit as st

from ui.job_panels import WORKER
from ui.notices import plain, show
from ui.servers import Server
from ui.submission import Submission


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
        bash, powershell = server.start_with("JOBS", "on")
        st.caption("macOS, Linux:")
        st.code(bash, language=None, wrap_lines=True)
        st.caption("PowerShell:")
        st.code(powershell, language=None, wrap_lines=True)
        st.caption("And the worker, in another terminal:")
        st.code(WORKER, language=None, wrap_lines=True)


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"
