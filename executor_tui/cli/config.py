"""executor config: is it right, what is allowed, where is it."""

import click

from executor_tui.cli.context import Cli, common
from executor_tui.domain.errors import UsageError


@click.group()
def group() -> None:
    """Validate the configuration, print its schema, say where it is."""


@group.command("validate")
@common
def validate(cli: Cli) -> None:
    """Read every file and name every mistake. Exit code 2 when there is one."""
    config = cli.config()
    found = ", ".join(config.sources) or "no files yet, defaults are used"
    cli.emit({"valid": True, "config": cli.places.config_dir, "files": config.sources}, f"{cli.places.config_dir}: good ({found})")


@group.command("schema")
@click.argument("file", required=False)
@common
def schema(cli: Cli, file: str | None) -> None:
    """JSON Schema of one file, or of all of them by name."""
    import json

    from executor_tui.config.load import FILES

    if file is not None and file not in FILES and f"{file}.json" not in FILES:
        raise UsageError(f"no configuration file {file!r}; there are: {', '.join(FILES)}")
    names = list(FILES) if file is None else [file if file in FILES else f"{file}.json"]
    schemas = {name: FILES[name].model_json_schema() for name in names}
    document = schemas if file is None else schemas[names[0]]
    click.echo(json.dumps(document, indent=2))


@group.command("path")
@common
def path(cli: Cli) -> None:
    """The two directories in use."""
    places = {"config": cli.places.config_dir, "state": cli.places.state_dir}
    cli.emit(places, f"config  {places['config']}\nstate   {places['state']}")
