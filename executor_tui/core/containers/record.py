"""What is known of a project's container, kept in the store so that a restart finds it: which change made it, where it is, its host key."""

from dataclasses import asdict, dataclass, fields

from executor_tui.store.store import Store


@dataclass(frozen=True, slots=True)
class Record:
    """`attempt` counts the changes that tried to make it; `made_by` is the one that did. `host_key` is pinned. `ending` is the change that
    puts it away, `over` says that nothing of it is left to do."""

    attempt: int = 1
    made_by: str = ""
    device: str = ""
    vmid: int = 0
    host_key: str = ""
    ready: bool = False
    ending: str = ""
    endings: int = 0
    over: bool = False


def _name(project_id: str) -> str:
    return f"container.{project_id}"


async def read_record(store: Store, project_id: str) -> Record:
    """The record; an empty one when nothing was made yet."""
    raw = await store.notes.get(_name(project_id))
    known = {f.name for f in fields(Record)}
    return Record(**{k: v for k, v in raw.items() if k in known}) if isinstance(raw, dict) else Record()


async def write_record(store: Store, project_id: str, record: Record) -> None:
    """Keep it; on disk when this returns."""
    await store.notes.put(_name(project_id), asdict(record))
