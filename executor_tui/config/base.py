"""What all settings models share: unknown names are mistakes, values are immutable once loaded, each field carries its docstring."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)
