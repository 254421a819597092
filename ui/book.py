"""Where a page, or a problem, is explained: in the book, where BOOK_URL says that it can be read."""

import os
import re

# The lessons that the pages lead to: a notebook's stem, its number and its title.
LESSONS = {
    "01_a_model_is_a_function_learned_from_data": "A model is a function learned from data",
    "03_fastapi_loads_the_model_before_it_answers": "FastAPI loads the model before it answers",
    "04_flask_loads_the_model_when_it_is_first_asked": "Flask loads the model when it is first asked",
    "05_one_contract_two_servers": "One contract, two servers",
    "06_errors_are_part_of_the_api": "Errors are part of the API",
    "07_you_can_only_run_what_you_can_see": "You can only run what you can see",
    "08_measure_then_make_it_fast": "Measure, then make it fast",
    "09_let_the_right_people_in": "Let the right people in",
    "10_ship_a_new_model_while_people_use_the_old_one": "Ship a new model while people use the old one",
    "11_do_not_compute_twice_do_not_make_people_wait": "Do not compute twice, do not make people wait",
    "13_a_long_answer_should_start_at_once": "A long answer should start at once",
    "14_a_generative_model_needs_rules_and_a_budget": "A generative model needs rules and a budget",
    "15_smaller_and_faster_almost_as_good": "Smaller and faster, almost as good",
}
BY_NUMBER = {int(stem[:2]): stem for stem in LESSONS}


def address(page: str = "") -> str:
    """Of a page of the book, or of its first one; empty where there is no book to read."""
    book = os.environ.get("BOOK_URL", "").strip().rstrip("/")
    return f"{book}/{page}" if book else ""


def lesson(number: int, section: str = "") -> str:
    """A lesson, or a section of it, in Markdown: a link into the book, or else the file that it is in."""
    stem = BY_NUMBER[number]
    title = f"Lesson {number:02}, {section or LESSONS[stem]}"
    anchor = "#" + re.sub(r"[^a-z0-9]+", "-", section.lower()).strip("-") if section else ""
    page = address(f"lessons/{stem}.html{anchor}")
    return f"[{title}]({page})" if page else f"{title} (`{stem}.ipynb`)"


def file(path: str) -> str:
    """A file of the project in Markdown, linked where the book has a page for it: for those of apps."""
    page = address(f"files/{path}.html") if path.startswith("apps/") else ""
    return f"[`{path}`]({page})" if page else f"`{path}`"


def problem(slug: str) -> str:
    return address(f"reference/problems.html#{slug}")


def troubleshooting() -> str:
    return address("troubleshooting.html")
