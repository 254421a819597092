"""What the tests of the lessons share."""

import pytest

from tests.notebooks.gates import verdicts_of


@pytest.fixture
def verdict():
    """Called with a lesson and an answer: what the check said, on one line."""
    return lambda lesson, answer: verdicts_of(lesson)[answer]
