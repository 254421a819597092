"""python kit.py users …, python kit.py keys …: who may use the servers.

The servers find out within seconds; they need not be started anew. Settings are those of the servers:
ACCESS_PATH or DATABASE_URL say where accounts are."""

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from apps.service.access.accounts import Accounts
from apps.service.access.database import AccountError, Unavailable
from apps.service.access.declared import SCOPES
from apps.service.access.tokens import SecretError, Tokens
from apps.service.settings import SettingsError, read


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(f"{self.prog}: {message}")


def parser() -> Parser:
    found = Parser(prog="kit.py")
    areas = found.add_subparsers(dest="area", required=True, metavar="users|keys", parser_class=Parser)
    users = areas.add_parser("users", help="who may use the servers")
    users = users.add_subparsers(dest="command", required=True, metavar="command", parser_class=Parser)
    add = users.add_parser("add", help="a new account; its password is shown once")
    add.add_argument("name")
    add.add_argument("--scopes", type=listed, default=["predict"], help=f"some of {','.join(SCOPES)}")
    add.add_argument("--tenant", default="default", help="whose daily quota it shares")
    add.add_argument(
        "--client", action="store_true", help="a program, which gets tokens for its id and secret"
    )
    passwd = users.add_parser("passwd", help="another password; whoever is signed in is signed out")
    passwd.add_argument("name")
    for command in (add, passwd):
        command.add_argument(
            "--password-stdin", action="store_true", help="read the password from standard input"
        )
    users.add_parser("list", help="all accounts")
    for name, meaning in (
        ("disable", "it may do nothing until it is enabled"),
        ("enable", "it may do again what it could"),
        ("remove", "with all its keys"),
    ):
        users.add_parser(name, help=meaning).add_argument("name")
    keys = areas.add_parser("keys", help="API keys, and the keys that sign tokens")
    keys = keys.add_subparsers(dest="command", required=True, metavar="command", parser_class=Parser)
    add = keys.add_parser("add", help="a new API key of an account; it is shown once")
    add.add_argument("name")
    add.add_argument("--label", default="", help="what it is for")
    add.add_argument("--scopes", type=listed, default=["predict"])
    add.add_argument("--days", type=float, help="until it expires; without, it does not")
    keys.add_parser("list", help="API keys, of one account or all").add_argument("name", nargs="?")
    keys.add_parser("revoke", help="an API key, by its prefix").add_argument("prefix")
    keys.add_parser(
        "rotate", help="sign tokens with a new key; those signed before stay good until they expire"
    )
    return found


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def main(arguments: list[str]) -> int:
    asked = parser().parse_args(arguments)
    try:
        settings = read(port=8000)
        folder = Path(settings.access_path)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (asked.area, asked.command) == ("keys", "rotate"):
            kid = Tokens(settings.jwt_secret, folder, settings.token_seconds).rotate()
            print(f"The key {kid} signs from now on; tokens from before stay good until they expire.")
            return 0
        accounts = Accounts(settings.database_url, folder)
        accounts.create_tables()
        return {"users": users, "keys": keys}[asked.area](accounts, asked)
    except (SettingsError, AccountError, SecretError) as error:
        sys.exit(f"kit.py {asked.area}: {error}")
    except Unavailable as error:
        sys.exit(f"kit.py {asked.area}: the database cannot be used ({error.error}): see DATABASE_URL")
    except OSError as error:
        sys.exit(f"kit.py {asked.area}: ACCESS_PATH cannot be used ({error.strerror})")


def users(accounts: Accounts, asked: argparse.Namespace) -> int:
    given = sys.stdin.readline().rstrip("\r\n") if getattr(asked, "password_stdin", False) else None
    if given == "":
        raise AccountError("expected a password on standard input")
    if asked.command == "add":
        kind = "client" if asked.client else "user"
        password = accounts.add(asked.name, asked.scopes, kind=kind, tenant=asked.tenant, password=given)
        print(f"{kind} {asked.name}, with {', '.join(sorted(set(asked.scopes)))}")
        if given is None:
            print(f"{'secret' if asked.client else 'password'}, shown this once: {password}")
    elif asked.command == "passwd":
        password = accounts.set_password(asked.name, given)
        print("changed" if given else f"password, shown this once: {password}")
    elif asked.command == "list":
        rows = [
            (one.name, one.kind, one.scopes, one.tenant, "disabled" if one.disabled else "")
            for one in accounts.all()
        ]
        print(table(("name", "kind", "scopes", "tenant", ""), rows))
    elif asked.command == "remove":
        accounts.remove(asked.name)
        print(f"removed {asked.name}, with its keys")
    else:
        accounts.disable(asked.name, asked.command == "disable")
        print(f"{asked.command}d {asked.name}")
    return 0


def keys(accounts: Accounts, asked: argparse.Namespace) -> int:
    if asked.command == "add":
        if asked.days is not None and not 0 < asked.days <= 3650:
            raise AccountError("expected more than 0 and at most 3650 days")
        key, stored = accounts.add_key(asked.name, asked.label, asked.scopes, asked.days)
        print(f"key {stored.prefix} of {asked.name}, with {', '.join(stored.scopes.split())}")
        print(f"shown this once: {key}")
    elif asked.command == "list":
        rows = [(k.prefix, k.owner, k.scopes, k.label, day(k.expires_at)) for k in accounts.keys(asked.name)]
        print(table(("prefix", "owner", "scopes", "label", "expires"), rows))
    elif accounts.revoke_key(asked.prefix.removeprefix("sk_")) is not None:
        print(f"revoked {asked.prefix}")
    else:
        raise AccountError("there is no key of that prefix: python kit.py keys list")
    return 0


def day(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return "none yet"
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
