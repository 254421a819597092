"""What a problem of a server means here, and what to do.

Where the first part says it all, it ends with a full stop; where not, what the server said follows it.
"""

AGAIN = "Try again in {wait}."
WORDS = {
    "invalid-input": ("refused the input", "Change what it names and send it again."),
    "out-of-range": ("refused the input", "Change the value that it names, or its unit, and send it again."),
    "prediction-failed": (
        "could not predict from this input",
        "Try other values; the server's log has the cause under the request's id.",
    ),
    "invalid-json": ("could not read the input as JSON", "Let a JSON library write it; NaN is not JSON."),
    "unsupported-media-type": (
        "takes the input only as plain JSON",
        "Send it with the header Content-Type: application/json, and not compressed.",
    ),
    "content-too-large": ("takes no request as large as this", "Send less at a time."),
    "too-many-rows": ("takes fewer rows at a time", "Send them in several requests."),
    "bad-request": (
        "could not read the request",
        "Look at what stands between this page and the server: a proxy may have changed it.",
    ),
    "request-timeout": ("did not get the whole request in time", "Send it again."),
    "unauthorized": (
        "has access on, and does not know who asks.",
        "Sign in on the page Access, with a name and its password or with an API key.",
    ),
    "forbidden": (
        "knows who asks, and does not let them do that",
        "Sign in on the page Access with credentials that may, or ask whoever runs the server for them.",
    ),
    "token-refused": ("gave no token", "Sign in again on the page Access."),
    "access-unavailable": ("cannot look up now who may do what.", AGAIN),
    "not-found": ("has nothing at this address", "Its page /docs lists the addresses that it has."),
    "too-many-requests": ("takes no more requests from here for now", AGAIN),
    "internal-error": (
        "has a fault of its own.",
        "Give its operator the request's id: the server's log has the details under it.",
    ),
    "model-loading": ("is still loading its model.", AGAIN),
    "model-unavailable": (
        "is running, but has no model",
        "Train one, or adopt one of yours; the server takes it up at the next request, without a restart.",
    ),
    "draining": (
        "is shutting down: it finishes what it has accepted, and takes nothing new.",
        "Start it again when it has ended.",
    ),
    "overloaded": (
        "is busy: it is answering as many requests as it takes at once.",
        AGAIN + " If it stays so, send fewer at a time.",
    ),
    "prediction-timeout": (
        "did not get its model's answer in time.",
        "Try again, with fewer rows if there were many.",
    ),
    "explanation-unavailable": (
        "cannot explain its answers",
        "Models of one output are explained that were trained here, or adopted with their training data.",
    ),
    "explanation-busy": ("has as many explanations waiting as it takes.", AGAIN),
    "explanation-timeout": ("had no time to explain its answer", AGAIN),
    "model-refused": (
        "did not take that version",
        "What was served goes on. Train the model again, register what that gives, and try that.",
    ),
    "unknown-model": (
        "has no such version, or no such model",
        "Choose another of the list. What is to be registered is trained or adopted first.",
    ),
    "insufficient-storage": (
        "has no room left on its disk",
        "Nothing of it was kept, and what was served goes on. Free some room there, then again.",
    ),
    "registry-unavailable": (
        "does not reach the registry of models for now. What is served goes on",
        AGAIN + " If it stays so, look whether the registry runs, and at MLFLOW_TRACKING_URI.",
    ),
    "unknown-prediction": (
        "knows no such prediction",
        "It keeps predictions only with PREDICTION_LOG=on, and for a while. Send the truth of a later one.",
    ),
    "feedback-unavailable": ("cannot look up its predictions for now. It goes on answering.", AGAIN),
    "job-queue-full": (
        "has as many jobs waiting as it takes.",
        AGAIN + " Or cancel one that nobody needs any more.",
    ),
    "jobs-unavailable": ("does not reach its jobs for now. It has kept them.", AGAIN),
    "unknown-job": (
        "has no such job: it is too old, or somebody else's.",
        "Choose another of the list, or send the file again.",
    ),
    "job-not-done": ("has no answers to that job", "Look at how far it is."),
    "prompt-too-long": (
        "takes no prompt as long as this together with the chat before it",
        "Begin a new chat, or write less.",
    ),
    "content-refused": (
        "has a filter that did not let the model see this",
        "Ask in other words, or for something else. The filter names itself, and not what it found.",
    ),
    "generation-busy": ("has as many prompts waiting for its language model as it takes.", AGAIN),
    "generation-failed": (
        "has a language model that has failed.",
        "Send it again. If it fails again, look at the server's log and at GENERATION_URL.",
    ),
    "generation-timeout": (
        "did not have its answer ready in time",
        "Ask for fewer tokens (max_tokens), or when fewer people ask.",
    ),
    "usage-unavailable": ("cannot look up now what was used. None of it is lost.", AGAIN),
    "idempotency-conflict": (
        "has a job of the same key, with another content.",
        "Choose the file again and send it.",
    ),
}
ENDED = (
    "does not take the credentials of this page any more: they have expired, or were revoked.",
    "Sign in again on the page Access.",
)
REFUSED = ("refused the request", "Put right what it names and send it again.")
FAULTY = WORDS["internal-error"]
MINIMAL = {400: "invalid-input", 503: "model-unavailable"}  # what a minimal server's status alone means
