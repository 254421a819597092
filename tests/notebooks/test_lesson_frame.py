"""The frame that every lesson has, so that a learner always knows where they are."""

import re

import pytest

from tests.notebooks.lessons import LESSONS, tags, text_of

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=str)
FIXED_HEADINGS = ["Key points", "Where this lives", "Next"]
LINES_IN_A_CELL = 14
HELP = re.compile(r'(check\("[\d.]+"\)|# hint\("[\d.]+"\)\n# solution\("[\d.]+"\))')


@every_lesson
def test_it_opens_with_claim_minutes_needs_verbs_and_what_is_left_out(lesson):
    opening = lesson.cells[0].source
    assert re.match(rf"# {lesson.number:02d} · \S+( \S+){{3,}}[^.]\n", opening), "the title is a claim"
    assert re.search(r"^\*\d+ minutes to read and run, \d+ to practise\. You need: .+\.\*$", opening, re.M)
    assert "After this lesson you can" in opening
    assert len(re.findall(r"^- \*\*[a-z ]+\*\* .+[;.]$", opening, re.M)) == 3, "three verbs"
    assert re.search(r"^Left out: .+\.$", opening, re.M)


@every_lesson
def test_its_file_is_named_after_its_title(lesson):
    title = lesson.cells[0].source.splitlines()[0].split(" · ", 1)[1]
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower().replace("'", "")).strip("_")
    assert lesson.path.name == f"{lesson.number:02d}_{slug}.ipynb"


@every_lesson
def test_its_headings_are_claims(lesson):
    headings = re.findall(r"^## (.+)$", lesson.markdown, re.M)
    claims = [heading for heading in headings if heading not in FIXED_HEADINGS]
    assert len(claims) >= 3
    for claim in claims:
        assert len(claim.split()) >= 4 and claim[-1] not in ".:", claim


@every_lesson
def test_it_closes_with_key_points_where_it_lives_and_what_is_next(lesson):
    headings = re.findall(r"^## (.+)$", lesson.markdown, re.M)
    assert [heading for heading in headings if heading in FIXED_HEADINGS] == FIXED_HEADINGS
    assert headings[-1] == "Next"


@every_lesson
def test_it_links_the_lesson_that_follows(lesson):
    following = [other.path.name for other in LESSONS if other.number > lesson.number]
    for name in following[:1]:
        assert f"]({name})" in lesson.cells[-1].source


@every_lesson
def test_every_file_it_links_is_there(lesson):
    for target in re.findall(r"\]\(([^)#]+)\)", lesson.markdown):
        if "://" not in target:
            assert (lesson.path.parent / target).exists(), target


@every_lesson
def test_a_sentence_stands_before_every_cell_of_code(lesson):
    for before, cell in zip(lesson.cells, lesson.cells[1:], strict=False):
        if cell.cell_type == "code" and not HELP.fullmatch(cell.source):
            assert before.cell_type == "markdown", cell.source
            assert before.source.rstrip()[-1] in ".?:*`|)", before.source


@every_lesson
def test_no_cell_needs_scrolling(lesson):
    for cell in lesson.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= LINES_IN_A_CELL, cell.source
            assert max(map(len, cell.source.splitlines())) <= 100, cell.source
            assert len(text_of(cell).splitlines()) <= 32, cell.source


@every_lesson
def test_something_breaks_on_purpose(lesson):
    broken = [cell for cell in lesson.cells if {"raises-exception", "breaks-on-purpose"} & set(tags(cell))]
    assert broken


@every_lesson
def test_it_asks_before_it_shows(lesson):
    asked = [cell.source for cell in lesson.cells if cell.cell_type == "markdown" and "?" in cell.source]
    assert len([text for text in asked if "### Exercise" not in text]) >= 3


@every_lesson
def test_its_words_are_plain(lesson):
    found = re.findall(r"\b(?:just|simply|easy|easily|powerful|obviously|of course)\b", lesson.markdown, re.I)
    assert not found


def test_the_lessons_are_numbered_without_a_gap():
    numbers = [lesson.number for lesson in LESSONS]
    assert numbers == list(range(1, len(numbers) + 1))
