"""Monitor: how often the model was right, and how far what comes has drifted from what it was trained on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import pandas as pd
import streamlit as st

from ui import client, monitor_charts, monitoring, page, sign_in
from ui.answers import Failure
from ui.card import Card
from ui.choice import about, choose
from ui.monitoring import OFF, Drift, Feature, Version
from ui.notices import plain, show
from ui.prediction import number, percent, shown
from ui.servers import Server, servers

EVERY = 10.0  # seconds between two looks
HOURS = {"Last hour": 1, "24 hours": 24, "7 days": 168, "30 days": 720}
ABREAST = 2  # versions in a table, which a phone is wide enough for
DRAWN_ALT = "the same figures are in the table below."


def main() -> None:
    page.begin(
        "Monitor",
        "How often the model was right, of what the truth is known about, and how far what comes has drifted "
        "from what it was trained on.",
        {10: " watches drift arrive"},
    )
    server, other = choose(servers())
    chosen = st.segmented_control(
        "Of the time", list(HOURS), default="24 hours", required=True, key="monitored hours"
    )
    card, failures = client.first_card([server, other])
    for failure in failures:
        show(failure)
    if card is None:
        st.button("Try again", icon=":material/refresh:")
        return
    about(card)
    watch(server, card, HOURS[chosen])


@st.fragment(run_every=EVERY)
def watch(server: Server, card: Card, hours: int) -> None:
    """What the server knows by now. Only this part of the page is drawn again."""
    signed = sign_in.current()

    def ask(report):
        with sign_in.acting_for(signed):
            return report()

    reports = (
        partial(monitoring.quality, server, card.name, hours),
        partial(monitoring.drift, server, card.name, hours),
    )
    with ThreadPoolExecutor(2) as pool:
        quality, drift = pool.map(ask, reports)
    if OFF in (quality, drift):
        with st.container(key="panel-off"):
            off(server)
        return
    st.caption(
        f"Asked at {datetime.now():%H:%M:%S}; asked again every {EVERY:.0f} seconds. Servers that share a "
        "database report the same, whichever of them predicted."
    )
    for key, heading, found, tell in (
        ("quality", "Live accuracy" if card.classes else "Live error", quality, qualities),
        ("drift", "Drift", drift, drifts),
    ):
        with st.container(key=f"panel-{key}"):
            st.header(heading, anchor=False)
            if isinstance(found, Failure):
                show(found)
            else:
                tell(server, found)
    if isinstance(drift, Drift) and any(one.psi is not None for one in drift.features):
        with st.container(key="panel-feature"):
            of_feature(server, drift)


def off(server: Server) -> None:
    st.badge("No log of predictions", icon=":material/edit_off:", color="gray")
    st.markdown(
        f"{server.name} keeps no log of what it predicted. Stop it, and start it in a terminal, in the "
        "project's folder, with the setting PREDICTION_LOG: it then keeps the answers, without features."
    )
    for shell, command in zip(
        ("macOS, Linux:", "PowerShell:"), server.start_with("PREDICTION_LOG", "on"), strict=False
    ):
        st.caption(shell)
        st.code(command, language=None, wrap_lines=True)


def qualities(server: Server, versions: list[Version]) -> None:
    if not versions:
        st.caption("Nothing was predicted in this time.")
        return
    known = [one for one in versions if one.share is not None]
    if known:
        st.altair_chart(
            monitor_charts.accuracies(known, server), width="stretch", alt=f"Accuracy by version; {DRAWN_ALT}"
        )
    table(versions[:ABREAST])
    if earlier := versions[ABREAST:]:
        with st.expander("Earlier versions"):
            for start in range(0, len(earlier), ABREAST):
                table(earlier[start : start + ABREAST])
    if not any(one.truths for one in versions):
        st.caption(
            "No truth has been told in this time. On Predict, under an answer, it can be told by hand; "
            "programs tell it with POST /feedback."
        )
        return
    if known:
        st.caption(
            "The dot is the share of right answers among those whose truth is known, the line the interval "
            "in which it lies with 95 % confidence (Wilson's), the upright tick what it was on the test rows."
        )
    for one in known:
        if one.confusion:
            with st.expander(f"What version {plain(one.version)} took for what"):
                confusion(one)


def table(versions: list[Version]) -> None:
    columns = {plain(one.version): figures(one) for one in versions}
    frame = pd.DataFrame(columns).fillna("").rename_axis("version").reset_index()
    st.table(frame, hide_index=True, border="horizontal", alt="How good each version has been")


def figures(one: Version) -> dict[str, str]:
    found = {"predictions": f"{one.predictions:,}", "truth known": f"{one.truths:,}"}
    if one.share is not None:
        found |= {
            "right": f"{one.correct:,}",
            "accuracy": percent(one.share, 1),
            "lies between": f"{percent(one.low, 1)} and {percent(one.high, 1)}",
        }
        tell = partial(percent, decimals=1)
    elif one.error is not None:
        found["mean absolute error"] = number(one.error)
        tell = number
    else:
        return found
    return found | {"on test rows": "not known" if one.tested is None else tell(one.tested)}


def confusion(one: Version) -> None:
    names = [plain(shown(name)) for name in one.classes]
    frame = pd.DataFrame(one.confusion, columns=[f"predicted {name}" for name in names])
    frame.insert(0, "truth", names)
    st.table(frame, hide_index=True, border="horizontal", alt="Rows by true class and predicted class")


def drifts(server: Server, drift: Drift) -> None:
    st.caption(f"Of version {plain(drift.version)}, from {drift.rows:,} rows.")
    if not any(one.psi is not None for one in drift.features):
        unknown = all(one.verdict == "unknown" for one in drift.features)
        st.caption(
            "Its card does not tell how the training data were distributed: train it, or adopt it with data."
            if unknown
            else "There is something to say from 200 rows on."
        )
        if not drift.rows or unknown:
            return
    else:
        st.altair_chart(
            monitor_charts.psis(drift, server), width="stretch", alt=f"PSI of each feature; {DRAWN_ALT}"
        )
    frame = pd.DataFrame(
        {
            "feature": [plain(shown(one.name)) for one in drift.features],
            "PSI": [told(one.psi) for one in drift.features],
            "drift": [one.verdict for one in drift.features],
            "p": [at_least(one.p_value) for one in drift.features],
            "outside": [percent(one.outside, 1) for one in drift.features],
            "missing": [percent(one.missing, 1) for one in drift.features],
        }
    )
    st.table(frame, hide_index=True, border="horizontal", alt="How far each feature has drifted")
    st.caption(
        f"PSI, the population stability index: below {drift.moderate:g} (the dotted line) no drift to speak "
        f"of, above {drift.large:g} (the dashed one) a large one. p: how likely what came would be if "
        "nothing had changed; with many rows it is small for the least of differences. Outside: beyond all "
        "of the training data."
    )


def told(value: float | None) -> str:
    if value is None:
        return "too few rows"
    return f"{value:.3f}"


def at_least(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def of_feature(server: Server, drift: Drift) -> None:
    """One feature: how it was distributed then and now, and its PSI over time."""
    order = sorted(range(len(drift.features)), key=lambda place: -(drift.features[place].psi or 0))
    names = {place: plain(shown(drift.features[place].name)) for place in order}
    st.header("One feature, then and now", anchor=False)
    place = st.selectbox("Feature", order, format_func=names.__getitem__, key=f"monitored {drift.version}")
    feature = drift.features[place]
    if feature.psi is None:
        st.caption("There is something to say from 200 rows on, where the card tells of the training data.")
        return
    left, right = st.columns([1, 1], gap="medium")
    with left:
        distribution(server, feature)
    with right:
        in_time(server, drift, place)


def distribution(server: Server, feature: Feature) -> None:
    st.altair_chart(
        monitor_charts.distributions(feature, server),
        width="stretch",
        alt="Shares of the training data and of what came, by bin; in the table below.",
    )
    with st.expander("The shares as a table"):
        frame = pd.DataFrame(
            {
                "values": [plain(shown(one.words)) for one in feature.bins],
                "training data": [percent(one.expected, 1) for one in feature.bins],
                "what came": [percent(one.found, 1) for one in feature.bins],
            }
        )
        st.table(frame, hide_index=True, border="horizontal", alt="Shares by bin")


def in_time(server: Server, drift: Drift, place: int) -> None:
    known = [(part, part.psi[place]) for part in drift.parts if part.psi[place] is not None]
    if not known:
        st.caption("No part of this time has 200 rows: choose a longer one.")
        return
    st.altair_chart(
        monitor_charts.over_time(drift, place, server), width="stretch", alt="PSI over time; in words below."
    )
    last, highest = known[-1], max(known, key=lambda one: one[1])
    st.caption(
        f"PSI over time, in parts of this time with 200 rows or more: {last[1]:.2f} in the last one, at most "
        f"{highest[1]:.2f}, at {datetime.fromtimestamp(highest[0].start):%Y-%m-%d %H:%M}."
    )


main()
