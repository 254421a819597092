"""The checks of lesson 12. No check measures time or starts a server."""

from collections.abc import Iterable

from ..exercises import NotYet, exercise, shown
from .images import build, done_again, installs, lines_of, trains
from .kubelet import bears_a_missing_model, bears_a_moment, ends_what_hangs, probes_of, survives_its_start

# --- 12.1


@exercise(
    "12.1",
    hints=(
        "Which file does installing the packages need, and why should no other be copied before it?",
        "What changes most often, and what would be done again if it were copied last?",
        "Who may install packages, and from which line on need nobody have those rights?",
    ),
)
def a_letter_costs_no_minutes(answers):
    lines = lines_of(answers["dockerfile"])
    build(lines)
    for changed, repeated, what in (
        ("apps", installs, "the packages are installed"),
        ("apps", trains, "the model is trained"),
        ("model_training", installs, "the packages are installed"),
    ):
        if any(map(repeated, done_again(lines, changed))):
            raise NotYet(
                f"for one letter in {changed}, {what} again; expected what was kept. Which line above "
                f"copies {changed}?"
            )
    return "a letter in `apps` copies `apps`, and nothing more is done again; the secret stays at home."


# --- 12.2

# A service, whether it can be reached from another machine, and what to ask who thinks otherwise.
SERVICES = (
    ({"ports": ["8501:8501"]}, True, "At which addresses does a port without an address listen?"),
    ({"ports": ["127.0.0.1:8000:8000"]}, False, "Who can come to 127.0.0.1?"),
    ({"image": "redis:8"}, False, "What is open to the outside of a service without `ports`?"),
    ({"expose": ["5432"]}, False, "Does `expose` publish anything?"),
    ({"ports": ["0.0.0.0:5432:5432"]}, True, "Which addresses are meant by 0.0.0.0?"),
    ({"ports": ["192.168.1.20:8000:8000"]}, True, "Whose address is it, and who can come there?"),
    ({"ports": [6379]}, True, "A number alone is published too, at a port that Docker chooses: where?"),
    ({"ports": ["6379"]}, True, "A port alone is published too, at one that Docker chooses: where?"),
    ({"ports": ["[::1]:8000:8000"]}, False, "Which machine is ::1, in IPv6?"),
    ({"ports": ["127.0.0.1:8000:8000", "9000:9000"]}, True, "Did you look at all its ports?"),
    ({"ports": [{"target": 80, "published": "8080"}]}, True, "Where does it listen without `host_ip`?"),
    ({"ports": [{"target": 80, "published": "8080", "host_ip": "127.0.0.1"}]}, False, "Who is `host_ip`?"),
    ({"network_mode": "host"}, True, "Whose network has a service with `network_mode: host`?"),
)


@exercise(
    "12.2",
    hints=(
        "With what does the text of a port begin that only this machine can reach?",
        "What is a port in the long form, and where does it say at which address it listens?",
        "Is there a service without `ports`, and one that needs none to be reached?",
    ),
)
def who_is_exposed(answers):
    exposed = answers.function("exposed")
    for service, open_to_all, question in SERVICES:
        found = names(exposed({"services": {"it": dict(service)}}), {"it"})
        if ("it" in found) != open_to_all:
            said, expected = ("exposed", "not") if found else ("not exposed", "exposed")
            raise NotYet(f"{shown(service)} was called {said}, expected {expected}. {question}")
    several = {f"s{number}": dict(service) for number, (service, *_) in enumerate(SERVICES)}
    expected = {name for name, (_, open_to_all, _) in zip(several, SERVICES, strict=True) if open_to_all}
    found = names(exposed({"services": several}), set(several))
    if found != expected:
        raise NotYet(
            f"of {len(several)} services at once you found {len(found)}, expected {len(expected)}. Which do "
            "you pass over when there are several?"
        )
    return "what a stranger could reach, whichever way it is written."


def names(found: object, known: set[str]) -> set[str]:
    if isinstance(found, (str, dict)) or not isinstance(found, Iterable):
        raise NotYet(f"exposed(…) gave {shown(found)}, expected a list of names. What do you collect?")
    found = list(found)
    if not all(isinstance(name, str) for name in found) or not set(found) <= known:
        raise NotYet(f"exposed(…) gave {shown(found)}, expected names of services. What do you collect?")
    return set(found)


# --- 12.3


@exercise(
    "12.3",
    hints=(
        "Who is asked while the server does not listen yet, and how long may that take?",
        "What would starting the server again mend: a process that hangs, or a model that is missing?",
        "With a period of 10 and a threshold of 3, how long does it take from the first no to the third?",
    ),
)
def three_probes(answers):
    probes = probes_of(answers["probes"])
    survives_its_start(probes)
    bears_a_missing_model(probes)
    bears_a_moment(probes)
    ends_what_hangs(probes)
    return "it may take its time to start, a hanging one goes, and a missing model restarts nobody."


# --- 12.4

# What is asked, what must be said, and what to ask who says otherwise.
SCALES = (
    ((4, 90, 60, 1, 20), 6, "What is 4 times 90 / 60?"),
    ((3, 80, 60, 1, 20), 4, "What is 3 times 80 / 60?"),
    ((10, 48, 60, 1, 20), 8, "In which direction do you divide?"),
    ((5, 75, 60, 1, 20), 7, "What has the rest of 6.25 to run on?"),
    ((10, 65, 60, 1, 20), 10, "Is 65 for 60 within a tenth?"),
    ((10, 55, 60, 1, 20), 10, "Is 55 for 60 within a tenth?"),
    ((2, 75, 60, 1, 20), 3, "Is the tenth one of the ratio, or one of the number of replicas?"),
    ((1, 69, 60, 1, 20), 2, "Is 69 for 60 within a tenth?"),
    ((8, 120, 60, 2, 10), 10, "How many may there be at most?"),
    ((4, 5, 60, 2, 10), 2, "How few may there be?"),
    ((4, 0, 60, 2, 10), 2, "What do those do whom nobody asks?"),
    ((1, 60, 60, 2, 10), 2, "There are fewer than there may be: do the limits hold where the ratio is 1?"),
    ((12, 60, 60, 2, 10), 10, "There are more than there may be: do the limits hold where the ratio is 1?"),
    ((4, None, 60, 2, 10), 4, "Nothing was measured: what do you know about the load?"),
)


@exercise(
    "12.4",
    hints=(
        "What is `current / target`, and when is it so near to 1 that nothing should change?",
        "Which function of `math` makes 7 of 6.25, and why not 6?",
        "In which order: the ratio, the tolerance, the rounding, the limits?",
    ),
)
def how_many(answers):
    desired_replicas = answers.function("desired_replicas")
    for asked, expected, question in SCALES:
        said = desired_replicas(*asked)
        call = f"desired_replicas({', '.join(map(str, asked))})"
        if isinstance(said, bool) or not isinstance(said, int):
            raise NotYet(f"{call} is {shown(said)}, expected {expected}, a whole number. What rounds to one?")
        if said != expected:
            raise NotYet(f"{call} is {said}, expected {expected}. {question}")
    return "enough for the load, still where it hardly changes, and never beyond the limits."
