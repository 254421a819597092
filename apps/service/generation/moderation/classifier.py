"""A trained classifier of offensive sentences: alt-profanity-check.
https://github.com/dimitrismistriotis/alt-profanity-check

A linear model of single words, in English (TF-IDF and a support vector machine, trained on comments of
Wikipedia and tweets). Its file is a pickle: whoever can change the package's files runs code here."""

import importlib.util
import re

from apps.service.generation.moderation.lookalikes import plain
from apps.service.generation.moderation.sentences import SentenceWindow
from apps.service.generation.moderation.window import Found
from apps.service.generation.scheduler import Forbidden
from apps.service.settings import SettingsError

PACKAGE = "profanity_check"
SUSPICIOUS = 0.3  # the probability of a word alone; without one such, a sentence is not judged
WORD = re.compile(r"\w+")


def classifier_of(wanted: str, threshold: float) -> "Classifier | None":
    """`wanted` as GENERATION_CLASSIFIER. Takes two seconds, most of them scikit-learn's. Raises
    SettingsError."""
    if wanted == "off":
        return None
    if importlib.util.find_spec(PACKAGE) is None:
        raise SettingsError(
            "GENERATION_CLASSIFIER: alt-profanity-check is not installed. Run `pip install --no-deps -r "
            "apps/service/generation/requirements.txt`, or set GENERATION_CLASSIFIER=off"
        )
    return Classifier(threshold)


class Classifier:
    """A rule: sentences from a threshold on are refused."""

    def __init__(self, threshold: float) -> None:
        from profanity_check import predict_prob
        from profanity_check.profanity_check import vectorizer

        self._threshold, self._predict = threshold, predict_prob
        words = list(vectorizer.vocabulary_)
        alone = zip(words, predict_prob(words), strict=True)
        self.suspicious = frozenset(word for word, probability in alone if probability >= SUSPICIOUS)

    def is_offensive(self, sentence: str) -> bool:
        return self._predict([plain(sentence)])[0] >= self._threshold

    def window(self, found: Found) -> "ClassifierWindow":
        return ClassifierWindow(self)


class ClassifierWindow(SentenceWindow):
    """A sentence is held back from its first suspicious word on, and judged when it has ended."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self._classifier = classifier
        self._clean = 0  # so many characters have no suspicious word
        self._suspicious = False

    def harmless(self, sentence: str) -> int:
        if not self._suspicious:
            self._look(sentence, ended=False)
        return self._clean

    def judged(self, sentence: str) -> str:
        if not self._suspicious:
            self._look(sentence, ended=True)
        if self._suspicious and self._classifier.is_offensive(sentence):
            raise Forbidden("classifier", sentence[self._gone : self._clean])
        self._clean, self._suspicious = 0, False
        return sentence

    def _look(self, sentence: str, ended: bool) -> None:
        for found in WORD.finditer(sentence, self._clean):
            whole = ended or found.end() < len(sentence)
            if not whole or plain(found[0]) in self._classifier.suspicious:
                self._clean, self._suspicious = found.start(), whole
                return
        self._clean = len(sentence)
