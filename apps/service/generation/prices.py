"""What tokens cost: a table in a TOML file, with a price for a million of each kind."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.service.settings import SettingsError

OURS = Path(__file__).with_name("prices.toml")
UNIT = 10**12  # costs are whole numbers of the 10**12th part of the currency, and sums of them are exact
Amount = Annotated[Decimal, Field(ge=0, lt=10**6, decimal_places=6)]


class Price(BaseModel):
    """Of a million tokens of each kind."""

    model_config = ConfigDict(extra="forbid")
    prompt: Amount
    cached: Amount  # of a prompt, which had not to be computed
    completion: Amount
    source: str = ""


class Prices(BaseModel):
    model_config = ConfigDict(extra="forbid")
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    models: dict[str, Price]

    def cost(self, model: str, prompt: int, cached: int, completion: int) -> int:
        """Of so many tokens, in `UNIT`s. `cached` are some of the `prompt`'s. A model without a price costs
        nothing."""
        price = self.models.get(model)
        if price is None:
            return 0
        computed = (prompt - cached) * price.prompt + cached * price.cached + completion * price.completion
        return int(computed * (UNIT // 10**6))


def prices_in(file: Path) -> Prices:
    """Raises SettingsError."""
    try:
        return Prices.model_validate(tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal))
    except OSError as error:
        raise SettingsError(f"GENERATION_PRICES: the file cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"GENERATION_PRICES: expected TOML ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(f"GENERATION_PRICES: {place}: {first['msg']}") from None
