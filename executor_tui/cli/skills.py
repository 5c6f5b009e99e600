"""executor skills: what the agents are taught, and the prompts made of it."""

import shutil
from pathlib import Path

import click

from executor_tui.cli.context import Cli, common, table
from executor_tui.domain.agent import Role
from executor_tui.domain.errors import UsageError


@click.group()
def group() -> None:
    """Skills and the prompts made of them."""


@group.command("list")
@common
def list_(cli: Cli) -> None:
    """Every skill that is loaded, the roles that have it, and whether it changed since it was recorded."""
    from executor_tui.core.skill_injector import SkillInjector

    config = cli.config()
    injector = SkillInjector(config)
    changed = {skill.name for skill in injector.changed}
    roles: dict[str, list[str]] = {}
    for role in Role:
        given = injector.get_skills_for_role(role)
        for skill in given.bodies:
            roles.setdefault(skill.name, []).append(str(role))
        for skill in given.catalogue:
            roles.setdefault(skill.name, []).append(f"({role})")
    rows = [
        {
            "name": s.name, "description": s.description, "tokens": s.tokens, "roles": roles.get(s.name, []), "source": s.folder,
            "shipped": s.shipped, "changed": s.name in changed, "warnings": list(s.warnings), "sha256": s.digest,
        }
        for s in injector.library.skills.values()
    ]  # fmt: skip
    left_out = [{"folder": folder, "reason": reason} for folder, reason in injector.library.left_out]
    cells = []
    for s in injector.library.skills.values():
        state = "CHANGED" if s.name in changed else ""
        cells.append((s.name, str(s.tokens), "shipped" if s.shipped else "yours", state, " ".join(roles.get(s.name, []))))
    text = table(("SKILL", "TOKENS", "FROM", "", "ROLES"), cells, "no skills")
    cli.emit({"skills": rows, "left_out": left_out}, text)
    for skill in injector.library.skills.values():
        for warning in skill.warnings:
            cli.note(f"{skill.name}: {warning}")
    for entry in left_out:
        cli.note(f"left out: {entry['reason']}")


@group.command("show")
@click.argument("name")
@common
def show(cli: Cli, name: str) -> None:
    """One skill, as an agent reads it."""
    from executor_tui.core.skill_injector import SkillInjector, UnknownSkillError

    try:
        skill = SkillInjector(cli.config()).find(name)
    except UnknownSkillError as exc:
        raise UsageError(str(exc.args[0])) from exc
    cli.emit({"skill": skill}, skill.body)


@group.command("prompt")
@click.argument("role", type=click.Choice([str(r) for r in Role]))
@common
def prompt(cli: Cli, role: str) -> None:
    """The whole system prompt of a role, as its agent receives it."""
    from executor_tui.core.skill_injector import SkillInjector

    injector = SkillInjector(cli.config())
    given = injector.get_skills_for_role(Role(role))
    text = injector.generate_system_prompt(Role(role))
    document = {
        "role": role, "prompt": text, "model": injector.model_for(Role(role)), "bodies": [s.name for s in given.bodies],
        "catalogue": [s.name for s in given.catalogue], "missing": list(given.missing),
    }  # fmt: skip
    cli.emit(document, text)
    for name in given.missing:
        cli.note(f"roles.json names the skill {name!r}, which is not there")


@group.command("validate")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@common
def validate(cli: Cli, folder: Path) -> None:
    """Check a skill's folder against the format. Exit code 1 when it departs from it, 2 when it cannot be loaded."""
    from executor_tui.core.skills import load_skill

    skill = load_skill(folder.absolute())
    text = "\n".join(skill.warnings) or f"{skill.name}: in order ({skill.tokens} tokens)"
    cli.emit({"name": skill.name, "warnings": list(skill.warnings), "tokens": skill.tokens, "sha256": skill.digest}, text)
    if skill.warnings:
        click.get_current_context().exit(1)


@group.command("add")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@common
def add(cli: Cli, folder: Path) -> None:
    """Copy a skill into your configuration and record its hash; for one that is there, accept it as it is now."""
    from executor_tui.core.skill_injector import SkillInjector
    from executor_tui.core.skills import load_skill

    config = cli.config()
    skill = load_skill(folder.absolute())
    target = cli.places.config_dir / "skills" / skill.name
    if not skill.folder.is_relative_to(cli.places.config_dir / "skills") and not _is_shipped(skill.folder):
        if target.exists():
            raise UsageError(f"{target} exists already", hint=f"look at the difference, delete it, and add again: rm -r {target}")
        shutil.copytree(skill.folder, target, symlinks=True)
    injector = SkillInjector(config)
    injector.lock(accept=(skill.name,))
    known = injector.find(skill.name)
    cli.emit({"skill": {"name": known.name, "folder": known.folder, "sha256": known.digest}}, f"{known.name} is in {known.folder}")
    for warning in known.warnings:
        cli.note(f"{known.name}: {warning}")


def _is_shipped(folder: Path) -> bool:
    from executor_tui.config.places import shipped

    return folder.is_relative_to(shipped("skills"))
