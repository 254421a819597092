"""Solutions of lesson 07, by exercise."""
# ruff: noqa (the names are the notebook's)

# %% 7.1
from collections import Counter


def problems(lines):
    # A request that went well has no problem: `.get` gives None for it, and None does not count.
    found = (line.get("problem") for line in lines if line["event"] == "request")
    # most_common() sorts by count; a dictionary keeps that order.
    return dict(Counter(problem for problem in found if problem).most_common())


# %% 7.2
def rate(readings):
    gained = 0
    for (_, before), (_, after) in zip(readings, readings[1:]):
        # A counter that is smaller than before began again at 0: all that it has is new.
        gained += after - before if after >= before else after
    return gained / (readings[-1][0] - readings[0][0])


# %% 7.3
def own_time(spans):
    taken = {}
    # Each span gives its length to its parent, and to nobody above: the parent's own length has it already.
    for span in spans:
        taken[span.parent_id] = taken.get(span.parent_id, 0) + span.end - span.start
    # The request's parent is the caller's span, or "": what is taken from it, nobody asks for.
    return {span.name: span.end - span.start - taken.get(span.span_id, 0) for span in spans}


# %% 7.4
def fires(readings, limit, hold):
    run = 0
    for index, value in enumerate(readings):
        # One good reading, and the run begins anew.
        run = run + 1 if value > limit else 0
        if run == hold:
            return index
    return None
