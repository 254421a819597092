"""Run lessons from top to bottom in a fresh kernel and store their outputs, for authors.

    python notebooks/classroom/store_outputs.py            every lesson
    python notebooks/classroom/store_outputs.py 01 04      those two

What differs from run to run (times of execution, the kernel's exact version) is not stored, so that a diff
shows what changed in the lesson. A lesson that raises where no `raises-exception` tag allows it is not
written.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[1]
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def store_outputs(path: Path) -> float:
    """Execute one notebook in place; the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    started = time.monotonic()
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=120,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    client.execute()
    seconds = time.monotonic() - started
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k == "tags" and v})
    nbformat.write(notebook, path)
    return seconds


def main(wanted: list[str]) -> None:
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        if not wanted or path.name[:2] in wanted:
            print(f"{store_outputs(path):6.1f} s  {path.name}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
