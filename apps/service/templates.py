"""The templates of an app's routes, which is how logs and metrics name a path: `/docs/{file}`.

They are the app's own routes, read when the first request comes and again when routes were added since."""

import re
from collections.abc import Callable, Iterable

OTHER = "other"  # a path that matches none: one name for all of them, however many a client thinks up
PART = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Templates:
    """`listed` gives each route's template and methods, `count` a number that grows with the routes."""

    def __init__(
        self, listed: Callable[[], Iterable[tuple[str, Iterable[str]]]], count: Callable[[], int]
    ) -> None:
        self._listed, self._count = listed, count
        self._read_at = -1
        self._methods: dict[str, set[str]] = {}
        self._patterns: list[tuple[re.Pattern, str]] = []

    def of(self, path: str) -> str:
        """The template that a path belongs to, or OTHER."""
        if path in self._methods:
            return path
        for pattern, template in self._patterns:
            if pattern.fullmatch(path):
                return template
        if self._read_at != self._count():
            self._read()
            return self.of(path)
        return OTHER

    def allow(self, template: str) -> str:
        """The header Allow for a template; "" for OTHER."""
        return ", ".join(sorted(self._methods.get(template, ())))

    def _read(self) -> None:
        self._read_at = self._count()
        methods: dict[str, set[str]] = {}
        patterns = []
        for found, allowed in self._listed():
            template = PART.sub(r"{\1}", found)
            if template not in methods and "{" in template:
                patterns.append((pattern_of(found), template))
            methods.setdefault(template, set()).update(allowed)
        self._methods, self._patterns = methods, patterns


def pattern_of(template: str) -> re.Pattern:
    """What paths of a template look like; a part is of one segment unless it is a `path`."""
    parts, end = [], 0
    for part in PART.finditer(template):
        parts += [re.escape(template[end : part.start()]), "(?s:.+)" if part[2] == "path" else "[^/]+"]
        end = part.end()
    return re.compile("".join([*parts, re.escape(template[end:])]))
