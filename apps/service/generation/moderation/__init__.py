"""The rules that prompts and answers pass: the same ones, in the same order, whoever asks and however."""

from apps.service.generation.moderation.characters import cleaned
from apps.service.generation.moderation.window import Step, Windows, passed
from apps.service.generation.runtime import Moderated, Prompt
from apps.service.generation.scheduler import Forbidden, Window
from apps.service.problems import Problem

__all__ = ["Policy", "steps_of"]

CHARACTERS_A_TOKEN = 16  # more than texts have on average; English has 4 to 5


def steps_of(settings) -> list[Step]:
    """The rules, in their order: what replaces comes before what refuses, and the words last, so that they
    see what leaves. Raises SettingsError."""
    if settings.generation_moderation == "off":
        return []
    from apps.service.generation.moderation.blocked_words import words_of
    from apps.service.generation.moderation.classifier import classifier_of
    from apps.service.generation.moderation.personal_data import PersonalData

    steps: list[Step] = []
    if settings.generation_redaction != "off":
        steps.append(PersonalData())
    if settings.generation_redaction == "presidio":
        from apps.service.generation.moderation.named_entities import NamedEntities

        steps.append(NamedEntities())
    classifier = classifier_of(settings.generation_classifier, settings.generation_classifier_threshold)
    if classifier is not None:
        steps.append(classifier)
    steps.append(words_of(settings.generation_blocked_words))
    return steps


class Policy:
    def __init__(self, settings, log, metrics, steps: list[Step] | None = None) -> None:
        """`steps`: others than the settings name. Raises SettingsError."""
        self._on = settings.generation_moderation == "on"
        self._steps = steps_of(settings) if steps is None else steps
        self._log, self._metrics = log, metrics
        self._context = settings.generation_context

    def checked(self, context, prompt: Prompt) -> Prompt:
        """The prompt as the model may have it. Raises Problem (400) where it may not."""
        note = Audit(self._log, self._metrics, context, "input")
        self._check_length(len(prompt.text) + sum(len(message["content"]) for message in prompt.messages))
        messages = tuple(
            {**message, "content": self._checked(message["content"], note)} for message in prompt.messages
        )
        text = self._checked(prompt.text, note)
        if not (messages[-1]["content"] if messages else text).strip():
            raise Problem("invalid-input", "expected a prompt that is not blank")
        return Prompt(messages, text, note.moderated)

    def _checked(self, text: str, note: "Audit") -> str:
        if not self._on:
            return text
        text, taken_out = cleaned(text)
        self._check_length(len(text))  # NFKC makes up to 18 characters of one
        if taken_out:
            note("hidden-characters")
        try:
            return passed(self._windows(note), text)
        except Forbidden as forbidden:
            note(forbidden.rule)
            raise Problem(
                "content-refused", f"expected a prompt that the rule {forbidden.rule} lets pass"
            ) from None

    def _check_length(self, characters: int) -> None:
        """Only so that nobody makes the rules read megabytes: the tokens are counted later."""
        most = self._context * CHARACTERS_A_TOKEN
        if characters > most:
            raise Problem(
                "prompt-too-long",
                f"expected a prompt of less than {self._context} tokens, got more than {most} characters",
            )

    def window(self, context) -> Window:
        """What one answer passes on its way out."""
        note = Audit(self._log, self._metrics, context, "output")
        return AuditedWindow(self._windows(note), note)

    def _windows(self, note: "Audit") -> Windows:
        return Windows(step.window(note) for step in self._steps)


class Audit:
    """What was decided about one text: each time counted, and the first time for each rule, logged and kept
    in `moderated`. The text is in none of them."""

    def __init__(self, log, metrics, context, direction: str) -> None:
        self._log, self._metrics, self._direction = log, metrics, direction
        self._request_id = context.request_id
        self._caller = context.caller
        self.moderated: Moderated = {}

    def __call__(self, rule: str, refused: bool = False) -> None:
        self._metrics.moderated(self._direction, rule)
        known = rule in self.moderated
        self.moderated[rule] = refused
        if known:
            return
        who = {"caller": self._caller.subject, "tenant": self._caller.tenant} if self._caller else {}
        self._log.info("moderated", request_id=self._request_id, direction=self._direction, rule=rule, **who)


class AuditedWindow:
    def __init__(self, windows: Windows, note: Audit) -> None:
        self._windows, self._note, self.moderated = windows, note, note.moderated

    def add(self, text: str) -> str:
        try:
            return self._windows.add(text)
        except Forbidden as forbidden:
            self._note(forbidden.rule, refused=True)
            raise

    def end(self) -> str:
        try:
            return self._windows.end()
        except Forbidden as forbidden:
            self._note(forbidden.rule, refused=True)
            raise
