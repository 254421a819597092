"""Known wrong answers of lesson 07: the exercise, and what its check must say."""
# ruff: noqa (the names are the notebook's, and one exercise is defined many times)

# %% 7.1 | as a problem without a name
from collections import Counter


def problems(lines):
    return dict(Counter(line.get("problem") for line in lines if line["event"] == "request").most_common())


# %% 7.1 | a line whose event is 'fault'
from collections import Counter


def problems(lines):
    return dict(Counter(line["problem"] for line in lines if "problem" in line).most_common())


# %% 7.1 | Which comes first
from collections import Counter


def problems(lines):
    return dict(Counter(l["problem"] for l in lines if l["event"] == "request" and "problem" in l))


# %% 7.1 | raised KeyError
from collections import Counter


def problems(lines):
    return Counter(line["problem"] for line in lines)


# %% 7.1 | expected a dictionary, got None
def problems(lines):
    print(len(lines))


# %% 7.1 | expected a dictionary, got
from collections import Counter


def problems(lines):
    return Counter(l["problem"] for l in lines if l["event"] == "request" and "problem" in l).most_common()


# %% 7.1 | Which differ
from collections import Counter


def problems(lines):
    return dict(Counter(l["problem"] for l in lines if l.get("status") == 400).most_common())


# %% 7.1 | and their order is ['invalid-json'
from collections import Counter


def problems(lines):
    found = Counter(l["problem"] for l in lines if l["event"] == "request" and "problem" in l)
    return dict(sorted(found.items()))


# %% 7.1 | Is each line counted once
def problems(lines):
    found = {}
    for line in lines:
        if line["event"] == "request" and "problem" in line:
            found[line["problem"]] = found.get(line["problem"], 0)
    return found


# %% 7.2 | gave a negative rate
def rate(readings):
    return (readings[-1][1] - readings[0][1]) / (readings[-1][0] - readings[0][0])


# %% 7.2 | What does one divide by
def rate(readings):
    return (readings[-1][1] - readings[0][1]) / len(readings)


# %% 7.2 | does the time begin at 0
def rate(readings):
    gained = sum(max(b - a, 0) for (_, a), (_, b) in zip(readings, readings[1:]))
    return gained / readings[-1][0]


# %% 7.2 | After a restart the counter went from 0
def rate(readings):
    gained = sum(max(b - a, 0) for (_, a), (_, b) in zip(readings, readings[1:]))
    return gained / (readings[-1][0] - readings[0][0])


# %% 7.2 | expected a number, got None
def rate(readings):
    print(readings)


# %% 7.2 | Are the readings equally far apart
def rate(readings):
    gained = [(b if b < a else b - a) / (then - now) for (now, a), (then, b) in zip(readings, readings[1:])]
    return sum(gained) / len(gained)


# %% 7.2 | what did it gain
def rate(readings):
    values = [value for _, value in readings]
    return (max(values) - min(values)) / (readings[-1][0] - readings[0][0])


# %% 7.2 | It was started again twice here
def rate(readings):
    values = [value for _, value in readings]
    gained = values[-1] - values[0]
    if gained < 0:
        gained = max(values) - values[0] + values[-1]
    return gained / (readings[-1][0] - readings[0][0])


# %% 7.3 | These are whole lengths. What of them did the children take
def own_time(spans):
    return {span.name: span.end - span.start for span in spans}


# %% 7.3 | From whose time is it taken
def own_time(spans):
    own = {span.name: span.end - span.start for span in spans}
    for outer in spans:
        for inner in spans:
            if inner is not outer and outer.start <= inner.start and inner.end <= outer.end:
                own[outer.name] -= inner.end - inner.start
    return own


# %% 7.3 | request is missing. Which spans do you go through
def own_time(spans):
    return {span.name: span.end - span.start for span in spans if span.parent_id or len(spans) == 1}


# %% 7.3 | expected a dictionary, got None
def own_time(spans):
    for span in spans:
        print(span.name, span.end - span.start)


# %% 7.3 | expected a dictionary of names and times, got
def own_time(spans):
    return [span.end - span.start for span in spans]


# %% 7.3 | raised KeyError
def own_time(spans):
    own, names = {}, {}
    for span in spans:
        names[span.span_id] = span.name
        own[span.name] = span.end - span.start
        if span.parent_id:
            own[names[span.parent_id]] -= span.end - span.start
    return own


# %% 7.3 | its two children 5 and 2 of that
def own_time(spans):
    own = {}
    for span in spans:
        child = next((other for other in spans if other.parent_id == span.span_id), None)
        own[span.name] = span.end - span.start - (child.end - child.start if child else 0)
    return own


# %% 7.3 | `load` is the child of `predict`
def own_time(spans):
    first = min(spans, key=lambda span: span.start)
    own = {span.name: span.end - span.start for span in spans}
    own[first.name] -= sum(span.end - span.start for span in spans if span is not first)
    return own


# %% 7.4 | at which of them is that known
def fires(readings, limit, hold):
    for index, value in enumerate(readings):
        if value > limit:
            return index


# %% 7.4 | Is it three *in a row*
def fires(readings, limit, hold):
    seen = 0
    for index, value in enumerate(readings):
        seen += value > limit
        if seen == hold:
            return index


# %% 7.4 | Is 5 above 5
def fires(readings, limit, hold):
    run = 0
    for index, value in enumerate(readings):
        run = run + 1 if value >= limit else 0
        if run == hold:
            return index


# %% 7.4 | got False
def fires(readings, limit, hold):
    run = 0
    for index, value in enumerate(readings):
        run = run + 1 if value > limit else 0
        if run == hold:
            return index
    return False


# %% 7.4 | at which of them is that known?
def fires(readings, limit, hold):
    for index in range(len(readings)):
        if all(value > limit for value in readings[index : index + hold]):
            return index


# %% 7.4 | How many bad readings are there at the end
def fires(readings, limit, hold):
    for index in range(len(readings)):
        run = readings[index : index + hold]
        if all(value > limit for value in run):
            return index + hold - 1


# %% 7.4 | What becomes of a run when a reading is good again
def fires(readings, limit, hold):
    run = 0
    for index, value in enumerate(readings):
        run = run + 1 if value > limit else max(run - 1, 0)
        if run == hold:
            return index


# %% 7.4 | expected 3, got None
def fires(readings, limit, hold):
    run = 0
    for index, value in enumerate(readings):
        run = run + 1 if value > limit else 0
        if run > hold:
            return index
