"""The book: its pages, and what makes it of them, of the lessons and of the code (`python kit.py docs`)."""
