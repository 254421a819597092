"""Batch: many rows to one server, from text or a CSV file, and what became of each."""

import streamlit as st

from ui import batch, client, job_panels, job_upload, jobs, page, rows, sign_in, visit
from ui.card import Card, Value
from ui.choice import about, choose
from ui.notices import plain, show
from ui.outcomes import Sent, missing, read
from ui.prediction import shown
from ui.servers import Server, servers
from ui.snippets import show_job_snippets, show_snippets
from ui.submission import Submission

MOST_COLUMNS = 6  # named above the rows
MOST_IN_CODE = 5  # rows in the call that can be copied
Listed = list[jobs.Job] | str | client.Failure | None
SMALL = rows.LARGEST // 1_000_000  # MB of a file that is sent without a job


def main() -> None:
    page.begin(
        "Batch",
        "Send many rows to a server at once, and read what it answers to each.",
        {8: " has what many rows in one request are good for", 11: " what a job is"},
    )
    server, other = choose(servers())
    card, failures = client.first_card([server, other])
    here = visit.current()
    with st.container():  # always there, so that the fields below stay where they are
        for failure in failures:
            show(failure)
    if card is None:
        st.button("Try again", icon=":material/refresh:")
        without_jobs(server, failures[0], told=True)
        return
    about(card)
    if here.submission and here.submission.job:
        job_panels.accepted(here, here.submission)
    listed = None if failures else jobs.listed(server)  # not what was said already
    with st.container(key="panel-input"):
        st.header("Rows", anchor=False)
        enter(server, card, listed)
    sent = st.session_state.get("batch")
    if sent is not None and (sent.server, sent.card.key) != (server, card.key):
        sent = None
    if sent:
        with st.container(key="panel-answer"), page.answer(sent.name, [], []):
            read(sent)
    if isinstance(listed, list) and listed:
        job_panels.show_jobs(server, card, listed)
    elif failures or isinstance(listed, client.Failure):
        without_jobs(server, failures[0] if failures else listed, told=bool(failures))
    with st.container(key="panel-call"):
        st.header("The same call, from elsewhere", anchor=False)
        call(server, card, sent, isinstance(listed, list))


def without_jobs(server: Server, failure: client.Failure, told: bool) -> None:
    """Where jobs were shown before, they will be again."""
    if server.url in visit.current().chosen:
        look = client.model_card if told else jobs.listed
        job_panels.not_listed(server, failure, lambda: look(server), told)


def call(server: Server, card: Card, sent: Sent | None, has_jobs: bool) -> None:
    """With the rows that were sent last, or else with the first examples; and a file as a job."""
    given = [row.features for row in sent.table.rows if row.features] if sent else examples(card)[:2]
    if sent and len(given) > MOST_IN_CODE:
        st.caption(f"With the first {MOST_IN_CODE} of the {len(given):,} rows that were sent.")
    show_snippets(server, client.BATCH, {"instances": [list(row) for row in given[:MOST_IN_CODE]]})
    if has_jobs:
        st.header("A file as a job, from elsewhere", anchor=False)
        show_job_snippets(server)


def enter(server: Server, card: Card, listed: Listed) -> None:
    """The rows as text or as a file, sent at the press of a button."""
    names = ", ".join(shown(feature.name) for feature in card.features[:12])
    more = f" and {len(card.features) - 12} more" if len(card.features) > 12 else ""
    st.caption(
        f"One row a line, its {'values' if card.takes_categories else 'numbers'} separated by commas. The "
        f"first line may name the columns, in any order; without names they are: {plain(names)}{more}."
        + (f" {plain(which(card))}" if card.takes_categories or card.takes_gaps else "")
    )
    typed, file = st.tabs(["Typed or pasted", "A CSV file"])
    with typed, st.form("typed", border=False):
        key, kept = f"rows:{card.key}", st.session_state.setdefault("typed rows", {})
        if key not in st.session_state:  # Streamlit forgets a field when its page is left
            st.session_state[key] = kept.get(key) or rows.write_rows(card, examples(card))
        kept[key] = text = st.text_area("Rows as CSV", height=180, key=key)
        st.caption(f"At most {rows.MOST:,} rows.")
        if st.form_submit_button("Predict all", type="primary", icon=":material/send:"):
            send(server, card, text)
    with file:
        enter_file(server, card, listed)


def which(card: Card) -> str:
    """What stands in the columns that are not numbers, and what may be left empty."""
    kinds = [
        f"{shown(feature.name)} is one of {', '.join(map(shown, feature.categories[: rows.MOST_CATEGORIES]))}"
        + (" and others" if len(feature.categories) > rows.MOST_CATEGORIES else "")
        for feature in card.features
        if feature.categories
    ]
    said = [f"{'; '.join(kinds[:MOST_COLUMNS])}{'; …' if kinds[MOST_COLUMNS:] else ''}."] if kinds else []
    gaps = [shown(feature.name) for feature in card.features if feature.may_be_missing]
    if gaps:
        more = f" and {len(gaps) - MOST_COLUMNS} more" if gaps[MOST_COLUMNS:] else ""
        said.append(
            f"Empty where a value is missing, which it may be in {', '.join(gaps[:MOST_COLUMNS])}{more}."
        )
    return " ".join(said)


def enter_file(server: Server, card: Card, listed: Listed) -> None:
    """A file: sent as a job where the server has jobs, else as typed rows are."""
    submission, as_job = visit.current().submission, isinstance(listed, list)
    busy = submission is not None and submission.is_alive()
    if as_job:
        st.caption(
            f"{server.name} takes the file as a job: it checks every row, accepts all or none of them, and a "
            "worker predicts them while you do something else, with this page closed if you like."
        )
    else:
        if isinstance(listed, client.Failure) and server.url not in visit.current().chosen:
            show(listed)
        st.caption(f"At most {rows.MOST:,} rows.")
    key = f"file:{card.key}:{st.session_state.get('files sent', 0)}"
    limit = None if as_job else SMALL
    # there while a file is sent, too: Streamlit forgets the file of a field that is not
    upload = st.file_uploader("CSV file", type=["csv", "txt"], key=key, max_upload_size=limit, disabled=busy)
    if busy:
        with st.container(key="running"):
            job_upload.watch_submission(submission)
        return
    if submission and submission.job:  # it came while this page was being drawn
        st.rerun()
    sample = look(server, upload, card, as_job) if upload else None
    ready = bool(upload) and not (as_job and (sample is None or sample.faults))
    if st.button("Predict the file", type="primary", icon=":material/send:", disabled=not ready):
        if as_job and sample:
            start(server, card, upload, sample)
        else:
            send(server, card, upload.getvalue())
    if as_job and sample and sample.faults and sample.rows <= rows.MOST and upload.size <= rows.LARGEST:
        st.caption("Or without a job, which leaves out the lines that cannot be sent:")
        if st.button("Predict the other lines", icon=":material/playlist_remove:"):
            send(server, card, upload.getvalue())
    other_file = upload and submission and submission.key != key_of(server, upload)
    if submission and submission.server == server and not other_file:
        job_upload.not_accepted(submission)
    if listed == jobs.OFF:
        job_upload.how_to_get_jobs(server)


def look(server: Server, upload, card: Card, as_job: bool) -> rows.Sample | None:
    """The beginning of a file, and what is to be said of it before it is sent; None if it cannot be."""
    try:
        sample = rows.read_sample(upload.getvalue(), card)
    except ValueError as error:
        if as_job:  # without a job, it is said when it is sent
            nothing_sent(error)
        return None
    if not as_job:
        return sample
    seen = len(sample.table.rows)
    if sample.whole:
        many, part = f"{seen:,} row{'s' if seen != 1 else ''}.", ""
    else:
        many = f"About {float(f'{sample.rows:.2g}'):,.0f} rows."
        part = f" This page has looked at the first {seen:,} of them; {server.name} checks all."
    if sample.faults:
        missing(sample.faults)
        st.caption(
            f"{many}{part} A job takes a file whole or not at all: put these lines right, and choose the "
            "file again."
        )
    else:
        st.caption(f"{many} Nothing wrong was found.{part}")
    if sample.table.unused:
        unused = plain(", ".join(sample.table.unused))
        st.caption(f"Columns that are no features, and are left out: {unused}.")
    return sample


def key_of(server: Server, upload) -> str:
    """The same for the same file: when its connection breaks, it is sent again and is still one job."""
    return f"{server.name}-{upload.file_id}"


def start(server: Server, card: Card, upload, sample: rows.Sample) -> None:
    """Send a file as a job. Streamlit's page is drawn anew, with its progress."""
    key = key_of(server, upload)
    content, signed = upload.getvalue(), sign_in.current()
    here = visit.current()
    here.submission = Submission(server, card, upload.name, content, sample.dialect, key, signed)
    here.submission.start()
    st.rerun()


def send(server: Server, card: Card, content: str | bytes) -> None:
    """Read the rows, send those that can be sent, and show how far it is."""
    st.session_state.pop("batch", None)
    try:
        table = rows.read_rows(rows.decode(content) if isinstance(content, bytes) else content, card)
    except ValueError as error:
        nothing_sent(error)
        return
    features = [row.features for row in table.rows if row.features is not None]
    run, bar = batch.Run([]), st.progress(0.0, text="Sending")
    for run in batch.run(server, features, card):
        settled = run.predicted + run.refused
        bar.progress(settled / len(features), text=f"{settled:,} of {len(features):,} rows")
    bar.empty()
    st.session_state["batch"] = Sent(server, card, table, run)


def nothing_sent(error: ValueError) -> None:
    st.warning(f"**Nothing was sent.**  \n{plain(str(error))}", icon=":material/error:")


def examples(card: Card) -> list[tuple[Value, ...]]:
    """A few rows to begin with."""
    return [preset.features for preset in card.presets] or [tuple(card.medians)]


main()
