"""Words that are neither asked for nor told: from a file, one a line.

A word is found as a whole, in whatever case, with look-alikes for its letters, with marks or invisible
characters in it, and spelled out (b l o c k e d). `*` before or after it: as a part of longer words, too."""

import re
from functools import cached_property
from pathlib import Path

from apps.service.generation.moderation.lookalikes import reading
from apps.service.generation.moderation.window import Found
from apps.service.generation.scheduler import Forbidden
from apps.service.settings import SettingsError

OWN = Path(__file__).with_name("blocked_words.txt")
MOST_LETTERS = 64  # of an entry
MOST_BETWEEN = 3  # separators between two letters of a word that is spelled out
MOST_HIDDEN = 8  # characters that nobody sees, in a row, inside of what may be a word
MOST_HELD = MOST_LETTERS * (1 + MOST_BETWEEN + MOST_HIDDEN)
SPELLED_OUT = 3  # letters, and more
END = ""  # in a tree: an entry ends here, whether longer words count, and whether it has letters

Tree = dict


class BlockedWords:
    """A rule: the words of one file."""

    def __init__(self) -> None:
        self.whole: Tree = {}
        self.spelled: Tree = {}
        self.inner: Tree = {}

    def add(self, entry: str) -> None:
        """Raises ValueError for one without letters, or too long."""
        word = " ".join("".join(map(letter_of, entry.strip("*"))).split())
        if not any(map(str.isalnum, word)) or len(word) > MOST_LETTERS:
            raise ValueError(f"expected a word of 1 to {MOST_LETTERS} letters")
        end = entry.endswith("*"), any(map(str.isalpha, word))
        if entry.startswith("*"):
            grow(self.inner, word, end)
        grow(self.whole, word, end)
        letters = word.replace(" ", "")
        if len(letters) >= SPELLED_OUT:
            grow(self.spelled, letters, end)

    def window(self, found: Found) -> "WordWindow":
        return WordWindow(self)

    @cached_property
    def quiet(self) -> tuple[re.Pattern, re.Pattern]:
        """For a stretch of ASCII in which no word begins, before a word and within one."""
        ascii_ = [chr(code) for code in (9, 10, *range(32, 127))]
        first = {one for tree in (self.whole, self.spelled, self.inner) for one in tree}
        begins = {one for one in ascii_ if first & {letters[0] for letters in reading(one).letters}}
        inside = {one for one in begins if self.inner.keys() & {each[0] for each in reading(one).letters}}
        letters = {one for one in ascii_ if one.isalnum()}
        head, tail, between = letters - begins, letters - inside, set(ascii_) - letters - begins
        word = f"(?:{one_of(head)}{one_of(tail)}*)?"
        rest = f"(?:{one_of(between)}+{word})*"
        return re.compile(word + rest), re.compile(f"{one_of(tail)}*{rest}")


def letter_of(character: str) -> str:
    found = reading(character)
    if found.is_hidden:
        return ""
    return found.letters[0] if found.is_word else " "


def is_letter(character: str) -> bool:
    """Also one in a circle, say."""
    if character.isascii() or character.isdecimal():
        return character.isalpha()
    return bool(reading(character).letters)


def one_of(characters: set[str]) -> str:
    """As a regular expression."""
    return f"[{re.escape(''.join(sorted(characters)))}]" if characters else "(?!)"


def grow(tree: Tree, letters: str, end: tuple[bool, bool]) -> None:
    for letter in letters:
        tree = tree.setdefault(letter, {})
    longer, lettered = tree.get(END, (False, False))
    tree[END] = longer or end[0], lettered or end[1]


def follow(tree: Tree, letters: str) -> Tree | None:
    for letter in letters:
        tree = tree.get(letter)
        if tree is None:
            return None
    return tree


def words_of(path: Path | None) -> BlockedWords:
    """Those of a file in UTF-8, or a few of our own. Empty lines and those with # before are none. Raises
    SettingsError."""
    try:
        lines = (path or OWN).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            "GENERATION_BLOCKED_WORDS: expected a text file in UTF-8, with a word a line. Change it, or "
            "unset it to have the default"
        ) from None
    words = BlockedWords()
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        try:
            words.add(line)
        except ValueError as error:
            raise SettingsError(f"GENERATION_BLOCKED_WORDS: line {number}: {error}") from None
    return words


class WordWindow:
    """Reads a text character by character. What may become a word is followed from where it begins, down the
    trees of the words; from there on the text is held back."""

    def __init__(self, words: BlockedWords) -> None:
        self._words = words
        self._held = ""
        # Where it begins in what is held, where in which tree it is, whether it is spelled out, and the
        # separators since its last letter.
        self._followed: list[tuple[int, Tree, bool, int]] = []
        self._in_word, self._hidden = False, 0

    def add(self, text: str) -> str:
        at = len(self._held)
        self._held += text
        while at < len(self._held):
            if not self._followed:
                end = self._words.quiet[self._in_word].match(self._held, at).end()
                if end > at:
                    self._in_word = self._held[end - 1].isalnum()
                    at = end
                    continue
            self._read(at, *reading(self._held[at]))
            at += 1
        return self._let_go(self._followed[0][0] if self._followed else at)

    def end(self) -> str:
        for start, tree, *_ in self._followed:
            self._check_end(start, len(self._held), tree)
        return self._let_go(len(self._held))

    def _let_go(self, count: int) -> str:
        text, self._held = self._held[:count], self._held[count:]
        if count and self._followed:
            self._followed = [(start - count, *rest) for start, *rest in self._followed]
        return text

    def _read(self, at: int, letters: tuple[str, ...], is_word: bool, is_hidden: bool) -> None:
        if is_hidden:
            self._hidden += 1
            if self._followed and self._hidden > MOST_HIDDEN:
                raise Forbidden("hidden-characters", self._held[: self._followed[0][0]])
            return
        if letters:
            self._hidden = 0
        followed, self._followed = self._followed, []
        # What would show a whole word, if it went up to here and no further, is held back with what follows.
        start_inside = next((start for start, tree, *_ in followed if END in tree), at)
        for start, tree, spelled, between in followed:
            if not is_word:
                self._check_end(start, at, tree)
            if between or not spelled:
                self._step(start, at, tree, spelled, letters, is_word)
            if is_word or between == MOST_BETWEEN:
                continue
            if spelled or between:
                self._followed.append((start, tree, spelled, between + 1))
            elif " " in tree:
                self._followed.append((start, tree[" "], False, 1))
        words = self._words
        if not self._in_word:
            self._step(at, at, words.whole, False, letters, is_word)
            self._step(at, at, words.spelled, True, letters, is_word)
        elif words.inner:
            self._step(start_inside, at, words.inner, False, letters, is_word)
        self._in_word = is_word

    def _step(
        self, start: int, at: int, tree: Tree, spelled: bool, letters: tuple[str, ...], is_word: bool
    ) -> None:
        for one in letters:
            if (found := follow(tree, one)) is not None:
                self._followed.append((start, found, spelled, 0))
                if END in found and (found[END][0] or not is_word):  # a sign, such as $, ends words as well
                    self._check_end(start, at + 1, found)

    def _check_end(self, start: int, end: int, tree: Tree) -> None:
        """Digits and signs alone are no word of letters, whatever they look like."""
        if END in tree and (not tree[END][1] or any(map(is_letter, self._held[start:end]))):
            raise Forbidden("blocked-words", self._held[:start])
