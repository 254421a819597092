"""The Streamlit page: it speaks HTTP to the two servers and imports nothing else of this project."""
