"""The templates of an app's routes, which is how logs and metrics name a path: `/docs/{file}`.

They are the app's own routes, read when the first request comes and again when routes were added since."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from apps.service.access.declared import Declared, Needed, together

OTHER = "other"  # a path that matches none: one name for all of them, however many a client thinks up
PART = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Templates:
    """`listed` gives each route's template, methods and view, `count` a number that grows with the routes."""

    def __init__(
        self, listed: Callable[[], Iterable[tuple[str, Iterable[str], Any]]], count: Callable[[], int]
    ) -> None:
        self._listed, self._count = listed, count
        self._read_at = -1
        self._methods: dict[str, set[str]] = {}
        self._patterns: list[tuple[re.Pattern, str]] = []
        self._declared: dict[tuple[str, str], set[Declared]] = {}  # by template and method
        self._overlapping: dict[str, list[str]] = {}  # a fixed path's templates, where it has others
        self._needed: dict[tuple[str, str], Needed] = {}  # by fixed path and method, once it was asked
        self.undeclared: list[str] = []
        self.streamed: dict[tuple[str, str], str] = {}  # by template and method: see bodies.streamed

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

    def needed(self, path: str, method: str) -> Needed | None:
        """What the views that a request may reach declare: all of those whose templates its path matches, so
        that nothing depends on which of them the framework would choose. None where there is none, or where
        one of them declares nothing. Call `of(path)` before: it reads the routes."""
        if known := self._needed.get((path, method)):
            return known
        if path in self._methods:
            templates = self._overlapping.get(path, [path])
        else:
            templates = [template for pattern, template in self._patterns if pattern.fullmatch(path)]
        found: set[Declared] = set()
        for template in templates:
            if template in self.undeclared:
                return None
            found |= self._declared.get((template, method), set())
        if not found:
            return None
        needed = together(frozenset(found))
        if path in self._methods:
            self._needed[path, method] = needed
        return needed

    def allow(self, template: str) -> str:
        """The header Allow for a template; "" for OTHER."""
        return ", ".join(sorted(self._methods.get(template, ())))

    def _read(self) -> None:
        self._read_at = self._count()
        methods: dict[str, set[str]] = {}
        patterns, undeclared = [], []
        declared: dict[tuple[str, str], set[Declared]] = {}
        streamed: dict[tuple[str, str], str] = {}
        for found, allowed, view in self._listed():
            template = PART.sub(r"{\1}", found)
            if template not in methods and "{" in template:
                patterns.append((pattern_of(found), template))
            methods.setdefault(template, set()).update(allowed)
            if limit := getattr(view, "streamed", None):
                streamed |= {(template, method): limit for method in allowed}
            if (one := getattr(view, "access", None)) is None:
                undeclared.append(template)
            else:
                for method in allowed:
                    declared.setdefault((template, method), set()).add(one)
        self._overlapping = {
            path: [path, *others]
            for path in methods
            if (others := [template for pattern, template in patterns if pattern.fullmatch(path)])
        }
        self._declared, self.undeclared, self._needed = declared, undeclared, {}
        self._methods, self._patterns, self.streamed = methods, patterns, streamed

    def listed(self) -> list[tuple[str, str, set[Declared]]]:
        """Every template with each of its methods, and what its views declare."""
        if self._read_at != self._count():
            self._read()
        return [
            (template, method, self._declared.get((template, method), set()))
            for template, allowed in self._methods.items()
            for method in sorted(allowed)
        ]


def pattern_of(template: str) -> re.Pattern:
    """What paths of a template look like; a part is of one segment unless it is a `path`."""
    parts, end = [], 0
    for part in PART.finditer(template):
        parts += [re.escape(template[end : part.start()]), "(?s:.+)" if part[2] == "path" else "[^/]+"]
        end = part.end()
    return re.compile("".join([*parts, re.escape(template[end:])]))
