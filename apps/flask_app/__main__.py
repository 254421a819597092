import os
from argparse import ArgumentParser

from apps.flask_app import main

if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m apps.flask_app")
    parser.add_argument("--server", choices=["waitress", "granian"], help="what listens, as SERVER says else")
    if chosen := parser.parse_args().server:
        os.environ["SERVER"] = chosen
    main()
