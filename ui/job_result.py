"""What came of a job: its answers to download, and what they are."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from ui import book, charts, downloads, sign_in, tally, transport, visit
from ui.card import Card
from ui.jobs import Job
from ui.notices import plain, show
from ui.prediction import number, percent, shown
from ui.servers import Server


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
        st.button("Read them again", icon=":material/refresh:")
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
            title = ", ".join(filter(None, (card.target, card.target_unit))) or "answer"
            st.altair_chart(charts.spread(found.numbers, server, title), width="stretch", alt=alt)
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


def duration(span: timedelta) -> str:
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} seconds"
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
