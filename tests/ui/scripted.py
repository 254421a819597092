"""A page as Streamlit runs it, without a browser: to press its buttons, and to read it."""

from streamlit.testing.v1 import AppTest


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def said(app: AppTest) -> str:
    """All the text of a page, as Markdown without its escapes."""
    kinds = (
        app.title,
        app.header,
        app.subheader,
        app.markdown,
        app.caption,
        app.warning,
        app.success,
        app.code,
    )
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")
