"""An open-loop load generator: python -m benchmarks.load URL --rate 200 --seconds 5 --body '{"features": …}'

A closed loop (wrk, ab) asks again when it has its answer: while a server stalls it asks nothing, and one slow
answer stands in its figures for the hundreds that nobody got (Schroeder, Wierman, Harchol-Balter: "Open
Versus Closed: A Cautionary Tale", NSDI 2006). Here requests are due at times that no answer can move, as are
those of people who do not know of each other, and latency counts from the moment that a request was due (Gil
Tene's "coordinated omission", https://github.com/giltene/wrk2). One that finds every connection busy waits
for one, and its waiting counts. Retry-After is not obeyed and redirects are not followed: they are answers.

It is a program for this machine: other hosts only with SERVELAB_LOAD_ANY_HOST=1.
"""
