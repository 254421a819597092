import sys

from apps.flask_app import main

if __name__ == "__main__":
    main(sys.argv[1:])
