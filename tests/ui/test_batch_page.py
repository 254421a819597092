"""The page Batch: rows of every kind, and each of them answered or told why not."""

from dataclasses import replace

import pytest
from classroom.servers import serve
from scripted import press, said

from ui import batch, client


def test_the_call_of_a_batch_has_the_rows_that_were_sent(page, full):
    app = page("batch", full["fastapi"].url, full["flask"].url)
    app.text_area[0].set_value("".join(f"5.{n},3.5,1.4,0.2\n" for n in range(1, 8)))
    text = said(press(app, "Predict all"))
    assert "With the first 5 of the 7 rows that were sent." in text
    assert "[[5.1, 3.5, 1.4, 0.2], [5.2, 3.5, 1.4, 0.2]," in text and "[5.5, 3.5, 1.4, 0.2]]" in text


def test_a_batch_with_every_kind_of_line(page, pair):
    app = page("batch", pair[0].url, pair[1].url)
    text = "petal width,sepal length,sepal width,petal length,note\n0.2,5.1,3.5,1.4,a\n,5.1,3.5,1.4,b\n"
    app.text_area[0].set_value(text + "0.2,99,3.5,1.4,c\n0.2,five,3.5,1.4,d\n2.5,6.3,3.3,6.0,e\n")
    app = press(app, "Predict all")
    assert "2 of 5 rows predicted" in said(app) and "were not sent: note." in said(app)
    faults = app.table[0].value
    assert list(faults["line"]) == [3, 4, 5]
    assert "petal width is missing" in faults["what is wrong there"].iloc[0]
    assert "expected sepal length from 0.7 to 11.5, got one outside" in faults["what is wrong there"].iloc[1]
    answers = app.dataframe[0].value
    assert list(answers["line"]) == [2, 6] and list(answers["prediction"]) == ["setosa", "virginica"]
    assert list(answers["sepal length"]) == [5.1, 6.3]
    assert app.text_area[0].value.startswith(text) and not app.exception


def test_a_batch_of_more_rows_than_the_server_takes_is_sent_in_parts(page, models):
    env = {"MODEL_PATH": str(models("iris")), "MAX_BATCH_ROWS": "100", "METRICS_PORT": "0"}
    with serve("flask", env=env) as server:
        app = page("batch", server.url, server.url)
        app.text_area[0].set_value("5.1,3.5,1.4,0.2\n" * 260)
        app = press(app, "Predict all")
        assert "260 of 260 rows predicted" in said(app)
        assert set(app.dataframe[0].value["prediction"]) == {"setosa"}


def test_a_batch_that_is_mostly_wrong_is_not_sent_to_its_end(page, full):
    app = page("batch", full["fastapi"].url, full["flask"].url)
    app.text_area[0].set_value("99,3.5,1.4,0.2\n" * 30)
    app = press(app, "Predict all")
    assert "0 of 30 rows predicted" in said(app) and "10 rows were not answered." in said(app)
    assert len(app.table[0].value) == 20 and "stops after 20 refused rows" in said(app)
    assert f"[400 Feature out of range]({full['fastapi'].url}/problems/out-of-range)" in said(app)


def test_what_was_answered_before_a_server_went_is_kept(answering, full_pair):
    """The first part comes from a real answer; then the connection breaks."""
    card = client.model_card(full_pair[0])
    answer = client.send(
        full_pair[0], "POST", "/predict/batch", client.batch_body([[5.1, 3.5, 1.4, 0.2]] * 1000), client.JSON
    )
    asked = []

    def behave(connection):
        asked.append(1)
        if len(asked) == 1:
            body = answer.text.encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )

    server = replace(full_pair[0], url=answering(behave))
    *_, run = batch.run(server, [[5.1, 3.5, 1.4, 0.2]] * 1500, card)
    assert (run.predicted, run.left, run.requests) == (1000, 500, 2)
    assert "broke before its answer was complete" in run.failure.sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c,d\n1,2,3,4", "Missing there: sepal length, sepal width, petal length, petal width."),
        ("", "There are no rows"),
        ('"1,2,3,4', "a quotation mark has no partner"),
        ("1,2,3,4\n" * 10_001, "There are 10,001 rows, and this page takes 10,000."),
    ],
)
def test_text_that_is_no_table_is_not_sent_and_not_lost(page, full, text, words):
    app = page("batch", full["fastapi"].url, full["flask"].url)
    app.text_area[0].set_value(text)
    app = press(app, "Predict all")
    assert "Nothing was sent." in said(app) and words in said(app)
    assert app.text_area[0].value == text and not app.dataframe
